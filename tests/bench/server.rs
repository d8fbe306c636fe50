//! Start to ready, idle memory, and package push beside a raw TLS copy of the same file in the same run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use security::Certificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{line, milliseconds};

const KEY: &str = "API-BENCHBENCHBENCHBENCHBENCH";
const PUSH: usize = 256 * 1024 * 1024;

pub async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let program = program("mantle");
    let first = Instant::now();
    prepare(&program, folder.path(), port);
    let mut server = serve(&program, folder.path(), port);
    ready(port).await;
    line(
        "start to ready, first run",
        milliseconds(first.elapsed()),
        "goal 2 s",
    );
    server.stop();
    let again = Instant::now();
    prepare(&program, folder.path(), port);
    let server = serve(&program, folder.path(), port);
    ready(port).await;
    line(
        "start to ready, restart",
        milliseconds(again.elapsed()),
        "goal 1 s",
    );
    line(
        "idle memory of the Server",
        format!("{:.1} MiB", resident(server.0.id())),
        "",
    );

    let package = folder.path().join("bench.1.0.0.zip");
    std::fs::write(&package, zip_of(PUSH)).expect("a package");
    let began = Instant::now();
    push(port, &package).await;
    let pushed = began.elapsed();
    let copied = raw_tls_copy(&package).await;
    let rate = |time: Duration| format!("{:.0} MB/s", PUSH as f64 / 1e6 / time.as_secs_f64());
    line("push of a 256 MiB package", rate(pushed), "");
    line("raw TLS copy of the same file", rate(copied), "");
    line(
        "ratio",
        format!("{:.2}", copied.as_secs_f64() / pushed.as_secs_f64()),
        "1 = as fast as the copy",
    );
}

/// A program beside this one.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    own.parent().expect("a folder").join(name)
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address").port()
}

fn command(program: &Path, word: &str, home: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command
        .arg(word)
        .arg("--home")
        .arg(home)
        .env("HTTP_PORT", port.to_string())
        .env("ADMIN_PASSWORD", "Bench-passw0rd")
        .env("ADMIN_API_KEY", KEY)
        .stdout(Stdio::null())
        .stdin(Stdio::null());
    command
}

fn prepare(program: &Path, home: &Path, port: u16) {
    assert!(
        command(program, "prepare", home, port)
            .status()
            .expect("it starts")
            .success()
    );
}

struct Server(Child);

impl Server {
    fn stop(&mut self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is asked");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

fn serve(program: &Path, home: &Path, port: u16) -> Server {
    let mut command = command(program, "serve", home, port);
    Server(
        command
            .args(["--bind", "127.0.0.1", "--communications-port", "0"])
            .spawn()
            .expect("it starts"),
    )
}

async fn ready(port: u16) {
    let url = format!("http://127.0.0.1:{port}/healthz/ready");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    while !client
        .get(&url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
    {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a figure");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<f64>()
        .expect("a number")
        / 1024.0
}

/// A zip that holds one stored file of random-looking bytes.
fn zip_of(size: usize) -> Vec<u8> {
    use std::io::Write;
    let mut state = 1_u32;
    let content: Vec<u8> = (0..size)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::with_capacity(size + 1024)));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("content", stored).expect("a file");
    zip.write_all(&content).expect("its content");
    zip.finish().expect("a zip").into_inner()
}

async fn push(port: u16, package: &Path) {
    let file = tokio::fs::File::open(package).await.expect("the package");
    let name = package
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let part = reqwest::multipart::Part::stream(reqwest::Body::from(file)).file_name(name);
    let form = reqwest::multipart::Form::new().part("file", part);
    let url = format!("http://127.0.0.1:{port}/api/packages/raw");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client
        .post(url)
        .header("X-Octopus-ApiKey", KEY)
        .multipart(form)
        .send()
        .await
        .expect("an answer");
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap_or_default()
    );
}

/// The same bytes over one TLS connection on loopback, written to a file on the other side.
async fn raw_tls_copy(package: &Path) -> Duration {
    let made = Certificate::generate("bench", 1_700_000_000_000).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from(made.der.clone())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.private_key_pkcs8.to_vec()));
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .expect("a server");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let target = package.with_extension("copy");
    let receiving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a peer");
        let mut stream = TlsAcceptor::from(Arc::new(server))
            .accept(stream)
            .await
            .expect("TLS");
        let mut file = tokio::fs::File::create(target).await.expect("a file");
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).await.expect("it is written");
        }
        file.sync_all().await.expect("it is safe");
    });
    let began = Instant::now();
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let name = ServerName::try_from("bench").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .expect("TLS");
    let mut file = tokio::fs::File::open(package).await.expect("the package");
    tokio::io::copy_buf(
        &mut tokio::io::BufReader::with_capacity(64 * 1024, &mut file),
        &mut stream,
    )
    .await
    .expect("a copy");
    stream.shutdown().await.expect("an end");
    receiving.await.expect("it arrived");
    began.elapsed()
}

/// The copy is a yardstick for bytes, not for trust.
#[derive(Debug)]
struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
