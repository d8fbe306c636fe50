# What scripts can call. The values stand below; this file is gone before the script starts.

$ErrorActionPreference = 'Stop'

function Convert-ServiceMessageValue([string]$value) {
    [System.Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes($value))
}

function __OctopusText([string]$encoded) {
    [System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String($encoded))
}

function __OctopusMessage([string]$kind, [System.Collections.Specialized.OrderedDictionary]$attributes) {
    $text = "##octopus[$kind"
    foreach ($entry in $attributes.GetEnumerator()) {
        if ($null -ne $entry.Value -and "$($entry.Value)" -ne '') {
            $text += " $($entry.Key)='$(Convert-ServiceMessageValue "$($entry.Value)")'"
        }
    }
    Write-Host "$text]"
}

function __OctopusLine([string]$mode, [string]$message) {
    Write-Host "##octopus[stdout-$mode]"
    Write-Host $message
    Write-Host '##octopus[stdout-default]'
}

function Set-OctopusVariable([string]$name, [string]$value, [switch]$sensitive) {
    $OctopusParameters[$name] = $value
    $flag = if ($sensitive) { 'True' } else { $null }
    __OctopusMessage 'setVariable' ([ordered]@{ name = $name; value = $value; sensitive = $flag })
}

function New-OctopusArtifact {
    param(
        [Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true, ValueFromPipelineByPropertyName = $true)]
        [Alias('FullName')]
        [string]$Path,
        [Parameter(Position = 1, ValueFromPipelineByPropertyName = $true)]
        [string]$Name = ''
    )
    process {
        $full = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path)
        $title = if ($Name -eq '') { [System.IO.Path]::GetFileName($full) } else { $Name }
        $length = 0
        if (Test-Path -LiteralPath $full -PathType Leaf) {
            $length = (Get-Item -LiteralPath $full -Force).Length
        }
        __OctopusLine 'verbose' "Artifact $title will be collected from $full after this step completes"
        __OctopusMessage 'createArtifact' ([ordered]@{ path = $full; name = $title; length = "$length" })
    }
}

function Update-Progress([int]$percentage, [string]$message) {
    __OctopusMessage 'progress' ([ordered]@{ percentage = "$percentage"; message = $message })
}

function Fail-Step([string]$message) {
    if ($message) {
        __OctopusMessage 'resultMessage' ([ordered]@{ message = $message })
    }
    exit -1
}

function Write-Verbose {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)][AllowEmptyString()][string]$Message)
    process { __OctopusLine 'verbose' $Message }
}

function Write-Debug {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)][AllowEmptyString()][string]$Message)
    process { __OctopusLine 'verbose' $Message }
}

function Write-Highlight {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)][AllowEmptyString()][string]$Message)
    process { __OctopusLine 'highlight' $Message }
}

function Write-Wait {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)][AllowEmptyString()][string]$Message)
    process { __OctopusLine 'wait' $Message }
}

function Write-Warning {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)][AllowEmptyString()][string]$Message)
    process {
        if ($WarningPreference -ne 'SilentlyContinue') {
            __OctopusLine 'warning' $Message
        }
        if ($WarningPreference -eq 'Stop') {
            throw "A warning stops the script: $Message"
        }
    }
}

function Set-EnvironmentState([string]$key, [string]$value, [switch]$sensitive, [string]$type = 'State') {
    $flag = if ($sensitive) { 'True' } else { $null }
    __OctopusMessage 'set-environmentstate' ([ordered]@{ key = $key; value = $value; sensitive = $flag; type = $type })
}

function Set-EnvironmentUrl([string]$key, [string]$url) {
    Set-EnvironmentState -key $key -value $url -type 'Url'
}

function New-OctopusTarget {
    param(
        [Parameter(Mandatory = $true)][string]$name,
        [Parameter(Mandatory = $true)][string]$targetId,
        [Parameter(Mandatory = $true)][string]$inputs,
        [Parameter(Mandatory = $true)][string]$roles,
        [string]$workerPool,
        [switch]$updateIfExisting
    )
    $flag = if ($updateIfExisting) { 'true' } else { $null }
    __OctopusMessage 'createStepPackageTarget' ([ordered]@{
            name = $name; targetId = $targetId; inputs = $inputs; octopusRoles = $roles
            octopusDefaultWorkerPoolIdOrName = $workerPool; updateIfExisting = $flag
        })
}

function Remove-OctopusTarget([string]$targetIdOrName) {
    __OctopusMessage 'delete-target' ([ordered]@{ machine = $targetIdOrName })
}

function Report-KubernetesManifest {
    param(
        [Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)][string]$manifest,
        [Parameter(Position = 1)][string]$namespace
    )
    process {
        foreach ($part in ($manifest -split '(?m)^---[ \t]*\r?$')) {
            if ($part.Trim() -ne '') {
                __OctopusMessage 'k8s-manifest-applied' ([ordered]@{ manifest = $part.Trim("`r", "`n"); ns = $namespace })
            }
        }
    }
}

function Report-KubernetesManifestFile {
    param(
        [Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)][string]$path,
        [Parameter(Position = 1)][string]$namespace
    )
    process {
        Report-KubernetesManifest -manifest (Get-Content -LiteralPath $path -Raw) -namespace $namespace
    }
}

function Execute-WithRetry([ScriptBlock]$command, [int]$maxFailures = 3, [int]$sleepBetweenFailures = 1) {
    for ($attempt = 1; ; $attempt++) {
        try {
            & $command
            return
        }
        catch {
            if ($attempt -ge $maxFailures) { throw }
            Write-Verbose "Attempt $attempt failed: $($_.Exception.Message); trying again"
            Start-Sleep -Seconds $sleepBetweenFailures
        }
    }
}

function __OctopusReadVariables([string]$encoded) {
    $all = New-Object 'System.Collections.Generic.Dictionary[String,String]' ([System.StringComparer]::OrdinalIgnoreCase)
    foreach ($line in ($encoded -split ' ')) {
        $name, $value = $line -split ':', 2
        $all[(__OctopusText $name)] = __OctopusText $value
    }
    , $all
}

function __OctopusSetGlobals {
    foreach ($name in @($OctopusParameters.Keys)) {
        if ($name.Contains('[')) { continue }
        $reduced = $name -replace '[^A-Za-z0-9_]', ''
        foreach ($short in @($reduced, ($reduced -replace '_', '')) | Select-Object -Unique) {
            if ($short -ne '' -and -not (Test-Path -LiteralPath "variable:global:$short")) {
                Set-Variable -Name $short -Value $OctopusParameters[$name] -Scope Global
            }
        }
    }
}

function __OctopusSetProxy {
    $address = if ($env:HTTPS_PROXY) { $env:HTTPS_PROXY } else { $env:HTTP_PROXY }
    if (-not $address) { return }
    $uri = [System.Uri]$address
    $proxy = New-Object System.Net.WebProxy (New-Object System.Uri ($uri.GetComponents([System.UriComponents]::SchemeAndServer, [System.UriFormat]::UriEscaped)))
    if ($uri.UserInfo) {
        $user, $password = $uri.UserInfo -split ':', 2
        $proxy.Credentials = New-Object System.Net.NetworkCredential ([System.Net.WebUtility]::UrlDecode($user)), ([System.Net.WebUtility]::UrlDecode("$password"))
    }
    [System.Net.WebRequest]::DefaultWebProxy = $proxy
    [System.Net.Http.HttpClient]::DefaultProxy = $proxy
    Set-Variable -Name OctopusProxy -Value $proxy -Scope Global
}

function __OctopusLogEnvironment {
    Write-Host '##octopus[stdout-verbose]'
    Write-Host 'PowerShell Environment Information:'
    Write-Host "  OperatingSystem: $([System.Environment]::OSVersion)"
    Write-Host "  PsVersion: $($PSVersionTable.PSVersion)"
    Write-Host "  CurrentUser: $([System.Environment]::UserName)"
    Write-Host "  MachineName: $([System.Environment]::MachineName)"
    Write-Host "  ProcessorCount: $([System.Environment]::ProcessorCount)"
    Write-Host "  CurrentDirectory: $(Get-Location)"
    Write-Host "  TempDirectory: $([System.IO.Path]::GetTempPath())"
    Write-Host "  HostProcessID: $PID"
    Write-Host '##octopus[stdout-default]'
}

Remove-Item -LiteralPath (__OctopusText '@SELF@') -Force
$global:OctopusParameters = __OctopusReadVariables '@VALUES@'
__OctopusSetGlobals
__OctopusSetProxy
if ($OctopusParameters['Octopus.Action.Script.SuppressEnvironmentLogging'] -cne 'True') { __OctopusLogEnvironment }
foreach ($__octopusModule in ('@MODULES@' -split ' ')) {
    if ($__octopusModule -ne '') { Import-Module -Name (__OctopusText $__octopusModule) -DisableNameChecking }
}
@DEBUG@
try {
    . (__OctopusText '@SCRIPT@') @PARAMETERS@
}
catch {
    $__octopusError = $_
    foreach ($__octopusPart in @(
            "$($__octopusError.CategoryInfo.Category): $($__octopusError.Exception.Message)",
            $__octopusError.InvocationInfo.PositionMessage,
            $__octopusError.ScriptStackTrace)) {
        if ($__octopusPart) { [System.Console]::Error.WriteLine($__octopusPart) }
    }
    exit 1
}
