# What scripts can call. The values follow below; this file is gone before the script starts.

encode_servicemessagevalue() {
    echo -n "$1" | base64 | tr -d '\n'
}

decode_servicemessagevalue() {
    echo -n "$1" | base64 -d
}

__octopus_attribute() {
    if [ -n "$2" ]; then
        printf " %s='%s'" "$1" "$(encode_servicemessagevalue "$2")"
    fi
}

__octopus_line() {
    echo "##octopus[stdout-$1]"
    shift
    printf '%s\n' "${*//$'\n'/ }"
    echo "##octopus[stdout-default]"
}

get_octopusvariable() {
    local LC_ALL=C key
    key="=${1^^}"
    if [[ -n "${__octopus_circles[$key]+known}" ]]; then
        printf '%s\n' "${__octopus_circles[$key]}" >&2
        return 101
    elif [[ -n "${__octopus_values[$key]+known}" ]]; then
        printf '%s' "${__octopus_values[$key]}"
    else
        echo
    fi
}

set_octopusvariable() {
    local sensitive=''
    if [ "${3-}" = '-sensitive' ]; then
        sensitive='True'
    fi
    echo "##octopus[setVariable$(__octopus_attribute name "${1-}")$(__octopus_attribute value "${2-}")$(__octopus_attribute sensitive "$sensitive")]"
}

new_octopusartifact() {
    local path="${1-}" name="${2-}" folder length
    echo "Collecting $path as an artifact..."
    if [ ! -e "$path" ]; then
        echo "The artifact $path does not exist; create the file before it is collected" >&2
        exit 127
    fi
    if [ -z "$name" ]; then
        name="$(basename -- "$path")"
    fi
    folder="$(cd -- "$(dirname -- "$path")" && pwd)"
    path="${folder%/}/$(basename -- "$path")"
    length="$(wc -c <"$path" | tr -d ' ')"
    __octopus_line verbose "Artifact $name will be collected from $path after this step completes"
    echo "##octopus[createArtifact path='$(encode_servicemessagevalue "$path")' name='$(encode_servicemessagevalue "$name")' length='$(encode_servicemessagevalue "$length")']"
}

update_progress() {
    echo "##octopus[progress percentage='$(encode_servicemessagevalue "${1-}")' message='$(encode_servicemessagevalue "${2-}")']"
}

fail_step() {
    if [ -n "${1-}" ]; then
        echo "##octopus[resultMessage message='$(encode_servicemessagevalue "$1")']"
    fi
    exit 1
}

write_verbose() { __octopus_line verbose "$@"; }
write_highlight() { __octopus_line highlight "$@"; }
write_wait() { __octopus_line wait "$@"; }
write_warning() { __octopus_line warning "$@"; }

set_environmentstate() {
    local sensitive=''
    if [ "${3-}" = '-sensitive' ]; then
        sensitive='True'
    fi
    echo "##octopus[set-environmentstate$(__octopus_attribute key "${1-}")$(__octopus_attribute value "${2-}")$(__octopus_attribute sensitive "$sensitive")$(__octopus_attribute type "${4:-State}")]"
}

set_environmenturl() {
    set_environmentstate "${1-}" "${2-}" '' 'Url'
}

new_octopustarget() {
    local attributes='' option
    while [ $# -gt 0 ]; do
        option="$1"
        case "$option" in
            -n | --name) attributes+="$(__octopus_attribute name "${2-}")" ;;
            -t | --target-id) attributes+="$(__octopus_attribute targetId "${2-}")" ;;
            --inputs) attributes+="$(__octopus_attribute inputs "${2-}")" ;;
            --roles) attributes+="$(__octopus_attribute octopusRoles "${2-}")" ;;
            --worker-pool) attributes+="$(__octopus_attribute octopusDefaultWorkerPoolIdOrName "${2-}")" ;;
            --update-if-existing)
                attributes+="$(__octopus_attribute updateIfExisting true)"
                shift
                continue
                ;;
            *)
                echo "Error: Unknown option: $option" >&2
                return 1
                ;;
        esac
        shift
        [ $# -gt 0 ] && shift
    done
    echo "##octopus[createStepPackageTarget $attributes]"
}

remove-octopustarget() {
    echo "##octopus[delete-target$(__octopus_attribute machine "${1-}")]"
}

report_kubernetes_manifest() {
    local part='' line
    while IFS= read -r line || [ -n "$line" ]; do
        if [[ "$line" =~ ^---[[:space:]]*$ ]]; then
            __octopus_manifest "$part" "${2-}"
            part=''
        else
            part+="$line"$'\n'
        fi
    done <<<"${1-}"
    __octopus_manifest "$part" "${2-}"
}

report_kubernetes_manifest_file() {
    if [ ! -f "${1-}" ]; then
        echo "The manifest file ${1-} does not exist" >&2
        return 1
    fi
    report_kubernetes_manifest "$(cat -- "$1")" "${2-}"
}

__octopus_manifest() {
    if [ -n "${1//[[:space:]]/}" ]; then
        echo "##octopus[k8s-manifest-applied$(__octopus_attribute manifest "${1%"${1##*[!$'\n']}"}")$(__octopus_attribute ns "$2")]"
    fi
}

# What the runner knows already is given: every program that is started here costs a millisecond.
__octopus_environment() {
    local system=$1 host=$2 processors=$3 user='\u'
    user=${user@P}
    [[ $user != "I have no name!" ]] || user=$UID
    echo "##octopus[stdout-verbose]"
    echo "Bash Environment Information:"
    echo "  OperatingSystem: $system"
    echo "  CurrentUser: $user"
    echo "  HostName: $host"
    echo "  ProcessorCount: $processors"
    echo "  CurrentDirectory: $PWD"
    echo "  TempDirectory: ${TMPDIR:-/tmp}"
    echo "  HostProcessID: $$"
    echo "##octopus[stdout-default]"
}

