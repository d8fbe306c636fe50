# Leaves nothing behind when the deployment fails.

folder="$(get_octopusvariable 'OctopusNginxFeatureTempDirectory')"
if [ -n "$folder" ] && [ -d "$folder" ]; then
    rm -rf -- "$folder"
fi
