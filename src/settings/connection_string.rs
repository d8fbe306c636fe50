//! Which database a connection string names (`containers.md` 2.2).

use std::fmt;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::secret::{MASK, SecretValue};

const SHAPES: &str = "supported are: unset or \"Data Source=/data/mantle.db\" (embedded database), \
    \"postgres://user:password@host:5432/database\" and \
    \"Host=..;Port=..;Database=..;Username=..;Password=..\" (PostgreSQL)";
/// What may stand in a user name, password or database name of a URL without escape.
const URL_PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// Parameters of a PostgreSQL URL that are handed on; others are refused.
const URL_PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "host",
];
const POSTGRES_PORT: u16 = 5432;

/// The database to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseTarget {
    /// The embedded database, at a path or at its usual place on the data volume.
    Embedded(Option<PathBuf>),
    /// A PostgreSQL database.
    Postgres(PostgresTarget),
}

/// A PostgreSQL database. `Debug` and `Display` mask the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresTarget {
    /// Host name, address, or the folder of a socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// User, the operating system's when absent.
    pub username: Option<String>,
    /// Password.
    pub password: Option<SecretValue>,
    /// `sslmode` and its like, as in a URL.
    pub parameters: Vec<(String, String)>,
}

/// Why a connection string was refused; holds no part of it but names of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionStringError(String);

impl fmt::Display for ConnectionStringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConnectionStringError {}

impl DatabaseTarget {
    /// Reads a URL or a `Key=Value;` string. SQL Server's shape is refused with a line that names the
    /// supported ones; an unknown key is refused too, so that nothing is half-accepted.
    pub fn parse(text: &str) -> Result<DatabaseTarget, ConnectionStringError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(DatabaseTarget::Embedded(None));
        }
        if let Some((scheme, _)) = text
            .split_once("://")
            .filter(|(scheme, _)| !scheme.contains(['=', ';']))
        {
            return match scheme.to_ascii_lowercase().as_str() {
                "postgres" | "postgresql" => parse_url(text).map(DatabaseTarget::Postgres),
                _ => Err(refused("the scheme of the URL is not postgres")),
            };
        }
        parse_pairs(text)
    }
}

impl fmt::Display for DatabaseTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseTarget::Embedded(None) => f.write_str("embedded database on the data volume"),
            DatabaseTarget::Embedded(Some(path)) => write!(f, "embedded database {}", path.display()),
            DatabaseTarget::Postgres(target) => target.fmt(f),
        }
    }
}

impl PostgresTarget {
    /// The URL for a database driver, with the password in it.
    pub fn url(&self) -> SecretValue {
        let password = self.password.as_ref().map(|password| escape(password.expose()));
        SecretValue::new(self.write_url(password.as_deref()))
    }

    fn write_url(&self, password: Option<&str>) -> String {
        let mut url = String::from("postgres://");
        if let Some(username) = &self.username {
            url.push_str(&escape(username));
            if let Some(password) = password {
                url.push(':');
                url.push_str(password);
            }
            url.push('@');
        }
        let is_socket = self.host.starts_with('/');
        url.push_str(if is_socket { "localhost" } else { &self.host });
        url.push_str(&format!(":{}/{}", self.port, escape(&self.database)));
        let socket = is_socket.then(|| ("host".to_owned(), self.host.clone()));
        for (at, (name, value)) in self.parameters.iter().chain(&socket).enumerate() {
            url.push_str(&format!(
                "{}{name}={}",
                if at == 0 { '?' } else { '&' },
                escape(value)
            ));
        }
        url
    }
}

impl fmt::Display for PostgresTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write_url(self.password.as_ref().map(|_| MASK)))
    }
}

fn parse_url(text: &str) -> Result<PostgresTarget, ConnectionStringError> {
    let url = Url::parse(text).map_err(|error| refused(&format!("the URL does not parse ({error})")))?;
    let decode = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded
            .map(|text| text.into_owned())
            .map_err(|_| refused("the URL holds an escape that is not UTF-8"))
    };
    let mut parameters = Vec::new();
    let mut host = url.host_str().unwrap_or_default().to_owned();
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "host" => host = value.into_owned(),
            known if URL_PARAMETERS.contains(&known) => {
                parameters.push((known.to_owned(), value.into_owned()))
            }
            unknown => return Err(refused(&format!("the URL has the unknown parameter {unknown}"))),
        }
    }
    let username = decode(url.username())?;
    let target = PostgresTarget {
        host,
        port: url.port().unwrap_or(POSTGRES_PORT),
        database: decode(url.path().trim_start_matches('/'))?,
        username: (!username.is_empty()).then_some(username),
        password: url.password().map(decode).transpose()?.map(SecretValue::new),
        parameters,
    };
    complete(target)
}

fn parse_pairs(text: &str) -> Result<DatabaseTarget, ConnectionStringError> {
    let pairs = split_pairs(text)?;
    let has = |names: &[&str]| pairs.iter().any(|(key, _)| names.contains(&key.as_str()));
    if let [(key, path)] = pairs.as_slice()
        && ["datasource", "filename"].contains(&key.as_str())
        && !path.contains([':', '\\', ','])
    {
        return Ok(DatabaseTarget::Embedded(Some(PathBuf::from(path))));
    }
    if !has(&["host"]) {
        let is_sql_server = has(&[
            "server",
            "datasource",
            "address",
            "addr",
            "initialcatalog",
            "networkaddress",
        ]);
        let reason = if is_sql_server {
            "SQL Server is not supported"
        } else {
            "it names no Host"
        };
        return Err(refused(reason));
    }
    let mut target = PostgresTarget {
        host: String::new(),
        port: POSTGRES_PORT,
        database: String::new(),
        username: None,
        password: None,
        parameters: Vec::new(),
    };
    for (key, value) in pairs {
        match key.as_str() {
            "host" => target.host = value,
            "port" => {
                target.port = value
                    .parse()
                    .map_err(|_| refused("Port is not a number from 1 to 65535"))?
            }
            "database" | "db" => target.database = value,
            "username" | "userid" | "user" | "uid" => target.username = Some(value),
            "password" | "pwd" | "psw" => target.password = Some(SecretValue::new(value)),
            "sslmode" => target.parameters.push(("sslmode".to_owned(), ssl_mode(&value)?)),
            "rootcertificate" => target.parameters.push(("sslrootcert".to_owned(), value)),
            "applicationname" => target.parameters.push(("application_name".to_owned(), value)),
            // It may be the rest of a password with a ";" in it: it must not be shown.
            _ => {
                return Err(refused(
                    "it has a key that is not known; a value with \";\" stands in quotes",
                ));
            }
        }
    }
    if let Some((host, port)) = target.host.clone().rsplit_once(':')
        && !host.contains(':')
    {
        target.port = port
            .parse()
            .map_err(|_| refused("the port after Host is not a number"))?;
        target.host = host.to_owned();
    }
    complete(target).map(DatabaseTarget::Postgres)
}

fn complete(target: PostgresTarget) -> Result<PostgresTarget, ConnectionStringError> {
    let absent = [
        ("host", target.host.is_empty()),
        ("database name", target.database.is_empty()),
        ("port", target.port == 0),
    ];
    match absent.iter().find(|(_, is_absent)| *is_absent) {
        Some((what, _)) => Err(refused(&format!("it names no {what}"))),
        None if target.host.contains([',', ' ', '@', '?', '#']) => Err(refused("Host is not one host")),
        None => Ok(target),
    }
}

fn ssl_mode(value: &str) -> Result<String, ConnectionStringError> {
    let word: String = value
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .collect::<String>()
        .to_ascii_lowercase();
    match word.as_str() {
        "verifyca" => Ok("verify-ca".to_owned()),
        "verifyfull" => Ok("verify-full".to_owned()),
        "disable" | "allow" | "prefer" | "require" => Ok(word),
        _ => Err(refused(
            "SSL Mode is not one of Disable, Allow, Prefer, Require, VerifyCA, VerifyFull",
        )),
    }
}

/// `Key=Value;` pairs; keys without blanks and in lower case, values unquoted. A value may stand in single or
/// double quotes, and a quote in it is doubled.
fn split_pairs(text: &str) -> Result<Vec<(String, String)>, ConnectionStringError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c == ';' || c.is_whitespace());
        if rest.is_empty() {
            return Ok(pairs);
        }
        let (key, after) = rest
            .split_once('=')
            .ok_or_else(|| refused("a part of it has no \"=\""))?;
        let key: String = key
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '_')
            .collect::<String>()
            .to_lowercase();
        if key.is_empty() || !key.chars().all(char::is_alphanumeric) {
            // What stands there may be the rest of a password with a ";" in it: it must not be shown.
            return Err(refused("a key is no word; put a value with \";\" in quotes"));
        }
        let (value, after) = take_value(after.trim_start())?;
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(refused("a key stands in it twice"));
        }
        pairs.push((key, value));
        rest = after;
    }
}

fn take_value(text: &str) -> Result<(String, &str), ConnectionStringError> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        let end = text.find(';').unwrap_or(text.len());
        return Ok((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != quote {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            let rest = &text[at + quote.len_utf8()..];
            let ends = rest.trim_start().is_empty() || rest.trim_start().starts_with(';');
            return if ends {
                Ok((value, rest))
            } else {
                Err(refused("text follows a closing quote"))
            };
        }
    }
    Err(refused("a quote is not closed"))
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, URL_PART).to_string()
}

fn refused(reason: &str) -> ConnectionStringError {
    ConnectionStringError(format!("{reason}; {SHAPES}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_spellings_of_a_postgres_database_mean_the_same() {
        let pairs = DatabaseTarget::parse("Host=db;Database=mantle;Username=octo;Password='a;b\"c'").unwrap();
        let url = DatabaseTarget::parse("postgresql://octo:a%3Bb%22c@db:5432/mantle").unwrap();
        assert_eq!(pairs, url);
        assert_eq!(pairs.to_string(), "postgres://octo:##########@db:5432/mantle");
        let DatabaseTarget::Postgres(target) = url else {
            panic!("a PostgreSQL database")
        };
        assert_eq!(target.url().expose(), "postgres://octo:a%3Bb%22c@db:5432/mantle");
        assert!(!format!("{target:?}").contains("a;b"));
    }

    #[test]
    fn the_embedded_database_is_the_default_or_a_path() {
        assert_eq!(DatabaseTarget::parse(""), Ok(DatabaseTarget::Embedded(None)));
        let target = DatabaseTarget::parse("Data Source=/data/mantle.db;").unwrap();
        assert_eq!(target, DatabaseTarget::Embedded(Some("/data/mantle.db".into())));
    }

    #[test]
    fn a_sql_server_string_is_refused_in_one_line_that_names_what_is_supported() {
        for text in [
            "Server=tcp:db,1433;Initial Catalog=Octopus;Persist Security Info=False;User ID=sa;Password=P@ssw0rd",
            "Data Source=(local)\\SQLEXPRESS;Integrated Security=True",
            "Server=db;Database=Octopus;User Id=SA;Password=P@ssw0rd",
        ] {
            let message = DatabaseTarget::parse(text).unwrap_err().to_string();
            assert!(
                message.contains("SQL Server") && message.contains("postgres://"),
                "{message}"
            );
            assert!(
                !message.contains("P@ssw0rd") && !message.contains('\n'),
                "{message}"
            );
        }
    }

    #[test]
    fn nothing_is_half_accepted() {
        for text in [
            "mysql://a:b@c/d",
            "postgres://db",
            "postgres://u:p@db/m?wrong=1",
            "Host=db",
            "Host=db;Database=m;Pooling=true",
            "Host=a,b;Database=m",
            "Host=db;Database=m;Password=x;se;cret",
            "Host=db;Database='m",
            "mantle.db",
        ] {
            assert!(DatabaseTarget::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_socket_folder_survives_the_way_to_the_driver() {
        let target = DatabaseTarget::parse("postgres://postgres@localhost/m?host=/run/postgresql").unwrap();
        let DatabaseTarget::Postgres(target) = target else {
            panic!("a PostgreSQL database")
        };
        assert_eq!(target.host, "/run/postgresql");
        assert_eq!(
            target.url().expose(),
            "postgres://postgres@localhost:5432/m?host=%2Frun%2Fpostgresql"
        );
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in ".{0,120}") {
            let _outcome = DatabaseTarget::parse(&text).is_ok();
        }

        #[test]
        fn any_password_survives_both_shapes(password in "[^\u{0}-\u{1f}]{1,20}") {
            let quoted = password.replace('"', "\"\"");
            let pairs = format!("Host=db;Database=m;Username=u;Password=\"{quoted}\"");
            let DatabaseTarget::Postgres(one) = DatabaseTarget::parse(&pairs).unwrap() else { unreachable!() };
            prop_assert_eq!(one.password.as_ref().map(SecretValue::expose), Some(password.as_str()));
            let other = DatabaseTarget::parse(one.url().expose()).unwrap();
            prop_assert_eq!(DatabaseTarget::Postgres(one), other);
        }
    }
}
