echo "Hello world! I am a feature script."
