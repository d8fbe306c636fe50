# Puts the configuration in its place and makes nginx read it.

folder="$(get_octopusvariable 'OctopusNginxFeatureTempDirectory')"
name="$(get_octopusvariable 'OctopusNginxFeatureConfigName')"
configurations="$(get_octopusvariable 'OctopusNginxFeatureConfigurationsDirectory')"
certificates="$(get_octopusvariable 'OctopusNginxFeatureCertificatesDirectory')"

if [ -z "$folder" ] || [ -z "$name" ]; then
    fail_step "The folder of the nginx configuration is not known"
fi
trap 'rm -rf -- "$folder"' EXIT

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

write_verbose "Removing the earlier locations in $configurations/$name.conf.d"
as_root rm -rf -- "$configurations/$name.conf.d" || exit 1

write_verbose "Copying the configuration to $configurations"
as_root cp -R -- "$folder/conf/." "$configurations" || exit 1

if [ -d "$folder/ssl" ]; then
    write_verbose "Copying certificates to $certificates"
    find "$folder/ssl" -name '*.key' -exec chmod 600 {} + || exit 1
    as_root cp -R -- "$folder/ssl/." "$certificates" || exit 1
fi

write_verbose "Checking the configuration"
# nginx tells on standard error also when all is well.
echo "##octopus[stderr-progress]"
as_root nginx -t
checked=$?
echo "##octopus[stderr-default]"
if [ "$checked" -ne 0 ]; then
    fail_step "nginx does not accept the configuration"
fi

write_verbose "Reloading nginx"
as_root nginx -s reload || fail_step "nginx could not be reloaded"
