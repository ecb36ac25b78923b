//! Which certificate a server shows to whom.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::{Tls, UnknownName, pem};

/// By the name that a client asks for.
#[derive(Debug)]
pub(super) struct Resolver {
    /// For everybody else; none = they are refused.
    default: Option<Arc<CertifiedKey>>,
    /// In lower case; `*` may be the first label.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Resolver {
    /// # Errors
    /// What is wrong with a file.
    pub(super) fn new(tls: &Tls) -> Result<Self, String> {
        let (mut default, mut by_name) = (None, HashMap::new());
        for pair in &tls.certificates {
            let chain = pem::chain(&pair.certificate.content)?;
            let names = chain.first().map(|leaf| names(leaf)).unwrap_or_default();
            let key = pem::key(&pair.key.content)?;
            let certified = Arc::new(pem::certified(chain, key)?);
            for name in names {
                // The one that is written first.
                by_name.entry(name).or_insert_with(|| Arc::clone(&certified));
            }
            default.get_or_insert(certified);
        }
        if tls.unknown_server_name == UnknownName::Refuse {
            default = None;
        }
        Ok(Self { default, by_name })
    }

    pub(super) fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wild = || name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            self.by_name.get(&name).or_else(|| self.by_name.get(&wild()?))
        });
        named.or(self.default.as_ref())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).cloned()
    }
}

/// The names that a certificate is for.
fn names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}
