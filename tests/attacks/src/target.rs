//! A broker to attack: one of everything that listens, with the limits that it has by default.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use wasmqtt_load::process::{Process, free_address};

/// The largest that there are, and what is the default.
const WIDE: &str = "receive_maximum = 65535\nmax_topic_levels = 65535";
const USUAL: &str = "receive_maximum = 1024, max_topic_levels = 256";

/// A broker that runs; killed when dropped.
#[derive(Debug)]
pub struct Target {
    /// Its program.
    pub process: Process,
    /// MQTT in the clear.
    pub tcp: SocketAddr,
    /// MQTT in TLS.
    pub tls: SocketAddr,
    /// MQTT by WebSocket.
    pub ws: SocketAddr,
    /// Behind proxies, none of which is on this machine.
    pub proxied: SocketAddr,
    /// In the clear, with the largest limits that there are for identifiers and levels.
    pub wide: SocketAddr,
    certificate: String,
    directory: TempDir,
}

impl Target {
    /// Starts it, in a directory of its own, and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path) -> Result<Self> {
        let directory = tempfile::tempdir().context("no directory for the broker")?;
        let addresses: Vec<SocketAddr> = (0..5).map(|_| free_address()).collect::<Result<_>>()?;
        let [tcp, tls, ws, proxied, wide] = addresses[..] else { unreachable!("five of five") };
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["localhost".to_owned()])?;
        let certificate = params.self_signed(&key)?.pem();
        std::fs::write(directory.path().join("server.pem"), &certificate)?;
        std::fs::write(directory.path().join("server.key"), key.serialize_pem())?;
        let listener = |name: &str, address: SocketAddr, limits: &str, more: &str| {
            format!(
                "[[listener]]\nname = \"{name}\"\nbind = \"{address}\"\nanonymous = true\ndefault = \"allow\"\n\
                 limits = {{ {limits} }}\n{more}\n"
            )
        };
        let tls_files = "tls = { certificate = \"server.pem\", key = \"server.key\" }";
        let proxies = "proxy_protocol = \"address\"\ntrusted_proxies = [\"10.0.0.0/8\"]";
        let config = [
            format!("[limits]\n{WIDE}\n"),
            listener("tcp", tcp, USUAL, ""),
            listener("tls", tls, USUAL, &format!("protocol = \"tls\"\n{tls_files}")),
            listener("ws", ws, USUAL, "protocol = \"ws\""),
            listener("proxied", proxied, USUAL, proxies),
            listener("wide", wide, "", ""),
        ]
        .concat();
        let file = directory.path().join("wasmqtt.toml");
        std::fs::write(&file, config)?;
        let mut command =
            std::process::Command::new(program.canonicalize().with_context(|| {
                format!("there is no broker at {}; build it first", program.display())
            })?);
        command.args(["run", "--config"]).arg(&file).current_dir(directory.path());
        let mut process = Process::start("broker", &mut command, directory.path())?;
        process.wait_until_it_listens(&addresses)?;
        Ok(Self { process, tcp, tls, ws, proxied, wide, certificate, directory })
    }

    /// The file with its certificate, which is its own authority.
    #[must_use]
    pub fn certificate(&self) -> std::path::PathBuf {
        self.directory.path().join("server.pem")
    }

    /// How a client speaks TLS with it.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn dialler(&self, versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions)?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The most memory that it ever had resident, in KiB, as the kernel counts it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.with_context(|| format!("{path} does not say how much memory was resident"))
    }
}
