//! The nginx feature: builds a server's configuration in a folder of its own, which the feature's script then puts in its
//! place (17.1).

use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::lenient_json::Json;
use crate::runner::Runner;
use crate::variables::Variables;
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

const SERVER: &str = "Octopus.Action.Nginx.Server";
const DEFAULT_CONFIGURATIONS: &str = "/etc/nginx/conf.d";
const DEFAULT_CERTIFICATES: &str = "/etc/ssl";

/// The variable that tells the feature's scripts where the configuration was built.
pub const FOLDER: &str = "OctopusNginxFeatureTempDirectory";

/// Builds the configuration and tells the feature's script where it is.
///
/// # Errors
/// What the step says of the server does not make a configuration, or it cannot be written.
pub fn configure(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let variables = &deployment.runner.variables;
    let name = match variables.filled(&format!("{SERVER}.ConfigName"))? {
        Some(name) => name,
        None => deployment
            .package
            .as_ref()
            .map(|package| package.id.clone())
            .unwrap_or_default(),
    };
    let name = file_name(&name)?;
    let configurations = folder(variables, "ConfigurationsDirectory", DEFAULT_CONFIGURATIONS)?;
    let certificates = folder(variables, "CertificatesDirectory", DEFAULT_CERTIFICATES)?;
    let files = build(variables, &name, &configurations, &certificates)?;
    let place = std::env::temp_dir().join(format!("nginx-{}", uuid::Uuid::new_v4().simple()));
    for (variable, value) in [
        (FOLDER, place.display().to_string()),
        ("OctopusNginxFeatureConfigName", name),
        ("OctopusNginxFeatureConfigurationsDirectory", configurations),
        ("OctopusNginxFeatureCertificatesDirectory", certificates),
    ] {
        deployment.runner.variables.set(variable, &value);
    }
    write(deployment.runner, &place, &files).inspect_err(|_| {
        // Nothing may stay of it; why it could not be written is the error to tell.
        std::fs::remove_dir_all(&place).ok();
    })
}

/// Private keys are in these files: the folder is for this user only.
fn write(runner: &Runner, place: &Path, files: &[(String, String)]) -> Result<(), Failure> {
    runner
        .log
        .verbose(&format!("Saving the nginx configuration in {}", place.display()));
    let private = |folder: &Path| {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| Failure::at(folder, "create the folder", &error))
    };
    private(place)?;
    for (name, text) in files {
        let file = place.join(name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::at(folder, "create the folder", &error))?;
        }
        std::fs::write(&file, text)
            .map_err(|error| Failure::at(&file, "write the nginx configuration", &error))?;
    }
    Ok(())
}

fn folder(variables: &Variables, name: &str, default: &str) -> Result<String, Failure> {
    let folder = variables
        .filled(&format!("Octopus.Action.Nginx.{name}"))?
        .unwrap_or_else(|| default.to_owned());
    Ok(folder.trim_end_matches('/').to_owned())
}

/// Names below the folder, and texts, of all files.
fn build(
    variables: &Variables,
    name: &str,
    configurations: &str,
    certificates: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let mut files = Vec::new();
    let mut server = String::from("server {\n");
    for binding in list(variables, "Bindings")? {
        let enabled = field(&binding, "enabled").is_none_or(|flag| flag.eq_ignore_ascii_case("true"));
        if enabled {
            server.push_str(&listen(variables, &binding, certificates, &mut files)?);
        }
    }
    if let Some(host) = variables.filled(&format!("{SERVER}.HostName"))? {
        let host = host.trim();
        if host != "*" {
            writeln!(server, "    server_name {host};").expect(TEXT);
        }
    }
    let mut locations = list(variables, "Locations")?;
    let root = locations
        .iter()
        .position(|location| {
            matches!(
                field(location, "path").as_deref().map(str::trim),
                Some("/" | "= /")
            )
        })
        .ok_or_else(|| wrong("Locations", "none of them has the path '/' or '= /'"))?;
    let root = locations.remove(root);
    if !locations.is_empty() {
        writeln!(
            server,
            "    include {configurations}/{name}.conf.d/location.*.conf;"
        )
        .expect(TEXT);
    }
    for (index, other) in locations.iter().enumerate() {
        let path = field(other, "path").unwrap_or_default();
        files.push((
            format!("conf/{name}.conf.d/location.{index}{}.conf", sanitised(&path)),
            location(other)?,
        ));
    }
    server.push_str(&location(&root)?);
    server.push_str("\n}");
    files.push((format!("conf/{name}.conf"), server));
    Ok(files)
}

/// Writing into a string cannot fail.
const TEXT: &str = "a string takes any text";

fn listen(
    variables: &Variables,
    binding: &Json,
    certificates: &str,
    files: &mut Vec<(String, String)>,
) -> Result<String, Failure> {
    let port = field(binding, "port").ok_or_else(|| wrong("Bindings", "one of them has no port"))?;
    let address = match field(binding, "ipAddress").as_deref().map(str::trim) {
        None | Some("*") => String::new(),
        Some(address) if address.contains(':') && !address.starts_with('[') => format!("[{address}]:"),
        Some(address) => format!("{address}:"),
    };
    let secure = field(binding, "protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("https"));
    if !secure {
        return Ok(format!("    listen {address}{port};\n"));
    }
    let (certificate, key) = match field(binding, "certificateVariable") {
        Some(variable) => certificate(variables, &variable, certificates, files)?,
        None => {
            let place = |name: &str| {
                field(binding, name).ok_or_else(|| {
                    wrong(
                        "Bindings",
                        &format!("an https binding has neither certificateVariable nor {name}"),
                    )
                })
            };
            (place("certificateLocation")?, place("certificateKeyLocation")?)
        }
    };
    let mut text = format!(
        "    listen {address}{port} ssl;\n    ssl_certificate {certificate};\n    ssl_certificate_key {key};\n"
    );
    let protocols: Vec<String> = match binding.member("securityProtocols") {
        Some(Json::Array(protocols)) => protocols
            .iter()
            .filter_map(|protocol| protocol.scalar().flatten())
            .collect(),
        _ => Vec::new(),
    };
    if !protocols.is_empty() {
        writeln!(text, "    ssl_protocols {};", protocols.join(" ")).expect(TEXT);
    }
    Ok(text)
}

/// Adds the files of a certificate; the answer is where they will be.
fn certificate(
    variables: &Variables,
    variable: &str,
    certificates: &str,
    files: &mut Vec<(String, String)>,
) -> Result<(String, String), Failure> {
    let part = |name: &str| -> Result<String, Failure> {
        variables.filled(&format!("{variable}.{name}"))?.ok_or_else(|| {
            wrong(
                "Bindings",
                &format!(
                    "the certificate variable '{variable}' has no {name}; add a certificate variable of that name to the project"
                ),
            )
        })
    };
    let name = file_name(&part("SubjectCommonName")?)?;
    let mut chain = part("CertificatePem")?;
    if let Some(rest) = variables.filled(&format!("{variable}.ChainPem"))? {
        chain = format!("{chain}\n{rest}");
    }
    files.push((format!("ssl/{name}/{name}.crt"), chain));
    files.push((format!("ssl/{name}/{name}.key"), part("PrivateKeyPem")?));
    let place = format!("{certificates}/{name}/{name}");
    Ok((format!("{place}.crt"), format!("{place}.key")))
}

fn location(location: &Json) -> Result<String, Failure> {
    let path = field(location, "path").unwrap_or_default();
    let mut lines = Vec::new();
    let mut directives = directives(location, "directives")?;
    let mut headers = members(location, "headers")?;
    if let Some(address) = field(location, "reverseProxyUrl") {
        lines.push(format!("proxy_pass {address};"));
        for (list, name) in [
            (&mut directives, "reverseProxyDirectives"),
            (&mut headers, "reverseProxyHeaders"),
        ] {
            let others: Vec<_> = members(location, name)?
                .into_iter()
                .filter(|(key, _)| !list.iter().any(|(own, _)| own == key))
                .collect();
            list.extend(others);
        }
    }
    lines.extend(directives.iter().map(|(name, value)| format!("{name} {value};")));
    lines.extend(
        headers
            .iter()
            .map(|(name, value)| format!("proxy_set_header {name} {value};")),
    );
    let body: String = lines.iter().map(|line| format!("        {line}\n")).collect();
    Ok(format!("    location {} {{\n{body}    }}", path.trim()))
}

/// A list of objects with one pair each.
fn directives(location: &Json, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let items = match nested(location, name)? {
        None => return Ok(Vec::new()),
        Some(Json::Array(items)) => items,
        Some(_) => return Err(wrong("Locations", &format!("{name} is not an array of objects"))),
    };
    let mut all = Vec::new();
    for item in &items {
        all.extend(pairs(item, name)?);
    }
    Ok(all)
}

/// The pairs of one object.
fn members(location: &Json, name: &str) -> Result<Vec<(String, String)>, Failure> {
    match nested(location, name)? {
        None => Ok(Vec::new()),
        Some(object) => pairs(&object, name),
    }
}

fn pairs(object: &Json, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let Json::Object(members) = object else {
        return Err(wrong("Locations", &format!("{name} is not an object")));
    };
    members
        .iter()
        .map(|(key, value)| match value.scalar() {
            Some(value) => Ok((key.clone(), value.unwrap_or_default())),
            None => Err(wrong("Locations", &format!("{name} has no text for '{key}'"))),
        })
        .collect()
}

/// A member that is JSON, or a text that holds JSON; none when it is empty.
fn nested(location: &Json, name: &str) -> Result<Option<Json>, Failure> {
    match location.member(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) if text.trim().is_empty() => Ok(None),
        Some(Json::Text(text)) => Json::read(text)
            .map(Some)
            .map_err(|reason| wrong("Locations", &format!("{name} is not JSON ({reason})"))),
        Some(value) => Ok(Some(value.clone())),
    }
}

fn list(variables: &Variables, name: &str) -> Result<Vec<Json>, Failure> {
    let text = variables.text(&format!("{SERVER}.{name}"))?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    match Json::read(&text) {
        Ok(Json::Array(items)) => Ok(items),
        Ok(_) => Err(wrong(name, "it is not a JSON array")),
        Err(reason) => Err(wrong(name, &format!("it is not JSON ({reason})"))),
    }
}

/// A member as text, unless it is blank.
fn field(object: &Json, name: &str) -> Option<String> {
    object
        .member(name)?
        .scalar()?
        .filter(|text| !text.trim().is_empty())
}

fn wrong(name: &str, what: &str) -> Failure {
    Failure::expected(format!(
        "The nginx configuration cannot be built from {SERVER}.{name}: {what}"
    ))
}

/// What is left of a location's path in a file name: its first run of letters, digits and slashes.
fn sanitised(path: &str) -> String {
    let kept = |character: char| character.is_ascii_alphanumeric() || character == '/';
    let start = path.find(kept).unwrap_or(path.len());
    let run = &path[start..];
    let end = run.find(|character| !kept(character)).unwrap_or(run.len());
    run[..end].trim_matches('/').replace('/', "_")
}

fn file_name(name: &str) -> Result<String, Failure> {
    let name = name.trim().replace(['/', '\0'], "_");
    if matches!(name.as_str(), "" | "." | "..") {
        return Err(Failure::expected(format!(
            "'{name}' cannot be the name of a file of nginx; choose another {SERVER}.ConfigName or certificate"
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, Failure> {
        let mut variables = Variables::default();
        for (name, value) in pairs {
            variables.set(name, value);
        }
        build(&variables, "shop", DEFAULT_CONFIGURATIONS, DEFAULT_CERTIFICATES)
    }

    const ROOT: (&str, &str) = (
        "Octopus.Action.Nginx.Server.Locations",
        r#"[{"path": "/", "directives": "[{\"root\": \"/srv\"}]"}]"#,
    );

    #[test]
    fn a_server_with_a_certificate() {
        let files = built(&[
            (
                "Octopus.Action.Nginx.Server.Bindings",
                r#"[{"protocol": "https", "port": 443, "ipAddress": "::1", "certificateVariable": "C", "securityProtocols": ["TLSv1.3"]},
                    {"protocol": "http", "port": "80", "enabled": false}]"#,
            ),
            ("Octopus.Action.Nginx.Server.HostName", "shop.example"),
            ("C.SubjectCommonName", "a/b"),
            ("C.CertificatePem", "cert"),
            ("C.ChainPem", "chain"),
            ("C.PrivateKeyPem", "key"),
            ROOT,
        ])
        .expect("built");
        assert_eq!(
            files,
            [
                ("ssl/a_b/a_b.crt".to_owned(), "cert\nchain".to_owned()),
                ("ssl/a_b/a_b.key".to_owned(), "key".to_owned()),
                (
                    "conf/shop.conf".to_owned(),
                    "server {\n    listen [::1]:443 ssl;\n    ssl_certificate /etc/ssl/a_b/a_b.crt;\n    ssl_certificate_key /etc/ssl/a_b/a_b.key;\n    ssl_protocols TLSv1.3;\n    server_name shop.example;\n    location / {\n        root /srv;\n    }\n}"
                        .to_owned()
                ),
            ]
        );
    }

    #[test]
    fn what_cannot_be_a_server_is_told() {
        let locations = |text| ("Octopus.Action.Nginx.Server.Locations", text);
        let bindings = |text| ("Octopus.Action.Nginx.Server.Bindings", text);
        for (given, told) in [
            (vec![], "none of them has the path"),
            (vec![locations("{bad")], "Locations: it is not JSON"),
            (vec![bindings("{}"), ROOT], "Bindings: it is not a JSON array"),
            (
                vec![
                    bindings(r#"[{"protocol":"https","port":1,"certificateVariable":"Nope"}]"#),
                    ROOT,
                ],
                "'Nope' has no SubjectCommonName",
            ),
            (
                vec![locations(r#"[{"path":"/","directives":"{}"}]"#)],
                "directives is not an array of objects",
            ),
            (
                vec![locations(
                    r#"[{"path":"/","reverseProxyUrl":"x","reverseProxyDirectives":"[]"}]"#,
                )],
                "reverseProxyDirectives is not an object",
            ),
        ] {
            let error = built(&given).expect_err("no server");
            assert!(error.message.contains(told), "{error}");
        }
    }

    #[test]
    fn paths_leave_a_name() {
        for (path, name) in [
            ("/api/", "api"),
            ("/a/b", "a_b"),
            ("~ \\.php$", "php"),
            ("= /", ""),
        ] {
            assert_eq!(sanitised(path), name, "{path}");
        }
    }
}
