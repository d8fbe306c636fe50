//! `new-certificate`, `import-certificate`, `show-thumbprint`.

use std::fs;
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use security::{Certificate, Secret};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Command, Context, FORMAT, INSTANCE_OPTIONS, is_json};
use crate::command_line::{OptionRow, Options};
use crate::configuration::generate_certificate;
use crate::durable_file;
use crate::failure::Failure;

/// A shorter key deserves a word.
const RECOMMENDED_BITS: usize = 2048;
const LARGEST_FILE: u64 = 1 << 20;
const VARIABLE: &str = "TentacleCertificateBase64";

pub(super) const NEW: Command = Command {
    names: &["new-certificate"],
    meaning: "Make a certificate for the agent, or for a file",
    options: &[
        INSTANCE_OPTIONS,
        &[
            OptionRow::flag(&["if-blank", "b"], "only when the agent has none"),
            OptionRow::value(
                &["export-file", "e"],
                "write it to a file as base64 instead (deprecated)",
            ),
            OptionRow::value(&["export-pfx"], "write it to a PFX file instead"),
            OptionRow::value(&["pfx-password"], "password of the PFX file"),
        ],
    ],
    run: new,
};

pub(super) const IMPORT: Command = Command {
    names: &["import-certificate"],
    meaning: "Take over the certificate of an agent",
    options: &[
        INSTANCE_OPTIONS,
        &[
            OptionRow::flag(&["from-registry", "r"], "not on this system"),
            OptionRow::value(&["from-file", "f"], "PFX file, or a file with its base64"),
            OptionRow::value(&["from-base64", "b"], "base64 of a PFX without password"),
            OptionRow::value(&["pfx-password", "pw"], "password of the PFX"),
        ],
    ],
    run: import,
};

pub(super) const SHOW: Command = Command {
    names: &["show-thumbprint"],
    meaning: "Show the thumbprint of the agent's certificate",
    options: &[
        INSTANCE_OPTIONS,
        &[
            FORMAT,
            OptionRow::value(&["export-file", "e"], "write the answer to a file"),
            OptionRow::flag(&["thumbprint-only"], "accepted, without effect"),
        ],
    ],
    run: show,
};

fn new(context: &Context, options: &Options) -> Result<(), Failure> {
    let current = &context.surroundings.current_folder;
    let export = options.path("export-file", current);
    let export_pfx = options.path("export-pfx", current);
    let pairs = [
        ("--if-blank", options.flag("if-blank")),
        ("--export-file", export.is_some()),
        ("--export-pfx", export_pfx.is_some()),
    ];
    let given: Vec<&str> = pairs
        .iter()
        .filter(|(_, is_given)| *is_given)
        .map(|(name, _)| *name)
        .collect();
    if given.len() > 1 {
        return Err(Failure::controlled(format!(
            "Invalid command: {} and {} cannot be specified together",
            given[0], given[1]
        )));
    }
    let password = Secret::new(options.text("pfx-password").unwrap_or_default());
    if let Some(path) = export.as_ref().or(export_pfx.as_ref()) {
        let certificate = generate_certificate()?;
        let pfx = certificate
            .to_pfx(&password)
            .map_err(|error| Failure::controlled(error.to_string()))?;
        let bytes = if export.is_some() {
            Zeroizing::new(STANDARD.encode(&*pfx).into_bytes())
        } else {
            pfx
        };
        durable_file::create_private(path)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|error| Failure::of_file("write the certificate to", path, &error))?;
        context.output.info(&format!(
            "A new certificate has been generated and written to {}. Thumbprint:",
            path.display()
        ));
        context.output.info(&certificate.thumbprint());
        return Ok(());
    }
    let mut configuration = context.configuration(options)?;
    if options.flag("if-blank") && configuration.certificate()?.is_some() {
        context
            .output
            .info("A certificate already exists, no changes will be applied.");
        return Ok(());
    }
    let certificate = generate_certificate()?;
    configuration.set_certificate(&certificate)?;
    context
        .output
        .info("A new certificate has been generated and installed. Thumbprint:");
    context.output.info(&certificate.thumbprint());
    context.save(&configuration)
}

fn import(context: &Context, options: &Options) -> Result<(), Failure> {
    let mut configuration = context.configuration(options)?;
    let sources = [
        options.flag("from-registry"),
        options.text("from-file").is_some(),
        options.last("from-base64").is_some(),
    ];
    if sources.iter().filter(|is_given| **is_given).count() > 1 {
        return Err(Failure::controlled(
            "Please specify only one of either from-registry or from-file or from-base64",
        ));
    }
    if options.flag("from-registry") {
        return Err(Failure::controlled(
            "The Windows registry does not exist on this system; use --from-file or --from-base64.",
        ));
    }
    let password = Secret::new(options.text("pfx-password").unwrap_or_default());
    let has_password = !password.is_empty();
    let certificate = if let Some(path) = options.path("from-file", &context.surroundings.current_folder) {
        from_file(context, &path, &password, has_password)?
    } else if let Some(text) = options.last("from-base64") {
        context.output.info("Importing the certificate via base64...");
        from_base64(text, &password)?
    } else if let Some(text) = from_environment(context)? {
        context
            .output
            .info(&format!("Importing the certificate given by {VARIABLE}..."));
        from_base64(text.expose(), &password)?
    } else {
        return Err(Failure::controlled("Please specify the certificate to import."));
    };
    if certificate.rsa_bits().is_some_and(|bits| bits < RECOMMENDED_BITS) {
        context.output.warning(
            "The imported certificate's private key is smaller than the currently-recommended bit length; generating a new \
             key for the tentacle is advised.",
        );
    }
    configuration.set_certificate(&certificate)?;
    context.output.info(&format!(
        "Certificate with thumbprint {} imported successfully.",
        certificate.thumbprint()
    ));
    context.save(&configuration)
}

fn from_file(
    context: &Context,
    path: &Path,
    password: &Secret,
    has_password: bool,
) -> Result<Certificate, Failure> {
    let size = fs::metadata(path).map(|found| found.len());
    let bytes = match size {
        Ok(size) if size <= LARGEST_FILE => fs::read(path),
        Ok(_) => Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "it is larger than 1 MiB",
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::controlled(format!(
                "Certificate '{}' was not found.",
                path.display()
            )));
        }
        Err(error) => Err(error),
    };
    let bytes =
        Zeroizing::new(bytes.map_err(|error| Failure::of_file("read the certificate", path, &error))?);
    let base64 = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| STANDARD.decode(text.trim()).ok());
    let with = if has_password {
        " using the provided password"
    } else {
        ""
    };
    if base64.is_some() {
        context.output.info(&format!(
            "Importing the certificate stored in {}{with}...",
            path.display()
        ));
    } else {
        context.output.info(&format!(
            "Importing the certificate stored in PFX file in {}{with}...",
            path.display()
        ));
    }
    let pfx = base64.map_or(bytes, Zeroizing::new);
    Certificate::from_pfx(&pfx, password).map_err(|error| {
        Failure::controlled(format!(
            "The certificate '{}' could not be imported: {error}. Give a PFX file with its private key, and its password with \
             --pfx-password.",
            path.display()
        ))
    })
}

fn from_base64(text: &str, password: &Secret) -> Result<Certificate, Failure> {
    let refused = |reason: String| {
        Failure::controlled(format!(
            "The certificate could not be imported: {reason}. Give the base64 of a PFX file with its private key."
        ))
    };
    let pfx = STANDARD
        .decode(text.trim())
        .map_err(|error| refused(format!("it is not base64 ({error})")))?;
    Certificate::from_pfx(&Zeroizing::new(pfx), password).map_err(|error| refused(error.to_string()))
}

/// The certificate of the container's settings; the value, or the file that holds it.
fn from_environment(context: &Context) -> Result<Option<settings::SecretValue>, Failure> {
    Ok(context.surroundings.settings(&[VARIABLE])?.certificate)
}

fn show(context: &Context, options: &Options) -> Result<(), Failure> {
    let configuration = context.configuration(options)?;
    let is_json = is_json(options)?;
    let thumbprint = configuration.thumbprint()?.ok_or_else(|| {
        Failure::controlled(
            "This Tentacle does not have a certificate yet. Please run the new-certificate command first.",
        )
    })?;
    let answer = if is_json {
        json!({ "Thumbprint": thumbprint }).to_string()
    } else {
        thumbprint
    };
    match options.path("export-file", &context.surroundings.current_folder) {
        None => context.output.answer(&answer),
        Some(path) => {
            fs::write(&path, &answer)
                .map_err(|error| Failure::of_file("write the thumbprint to", &path, &error))?;
        }
    }
    Ok(())
}
