Write-Host "Hello world! I am a feature script."
