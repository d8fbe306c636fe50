#!/bin/bash
# Runs on the machine after the files are in place.
set -eu
environment=$(get_octopusvariable "Octopus.Environment.Name")
release=$(get_octopusvariable "Octopus.Release.Number")
machine=$(get_octopusvariable "Octopus.Machine.Name")
echo "Release $release in $environment on $machine" > deployed.txt
echo "The page is at $PWD/index.html"
set_octopusvariable "Page" "$PWD/index.html"
