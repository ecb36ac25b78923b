//! From a path to bytes: read once, bounded, digested, held against the pinned digest. Whatever happens
//! to the file afterwards changes nothing until the next load. Must not know wasmtime.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::LoadCause;

/// Most bytes of a component.
pub(crate) const SIZE_MAX: u64 = 64 << 20;

/// Most functions of a component, all its modules together: what a compiler gets through in a minute. An
/// interpreter of a large language has some ten thousand.
const FUNCTIONS_MAX: u64 = 250_000;

/// Functions that a component declares, as far as it can be read; what is wrong with it the compiler says.
fn functions(bytes: &[u8]) -> u64 {
    let payloads = wasmparser::Parser::new(0).parse_all(bytes).map_while(Result::ok);
    payloads.fold(0, |sum, payload| match payload {
        wasmparser::Payload::FunctionSection(section) => sum + u64::from(section.count()),
        _ => sum,
    })
}

/// SHA-256 of a component's bytes.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// 64 lower-case hexadecimal digits.
    pub(crate) fn hex(&self) -> String {
        use std::fmt::Write;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The bytes of one component.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

/// Reads the component at `path`.
pub(crate) fn load(path: &Path, pinned: Option<[u8; 32]>) -> Result<Loaded, LoadCause> {
    let unreadable = |source| LoadCause::Unreadable { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large, even if it grows while it is read.
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(LoadCause::TooLarge { path: path.into(), limit: SIZE_MAX });
    }
    let digest = Digest(Sha256::digest(&bytes).into());
    if let Some(pinned) = pinned.map(Digest).filter(|pinned| *pinned != digest) {
        let (found, pinned) = (digest.hex(), pinned.hex());
        return Err(LoadCause::Digest { path: path.into(), found, pinned });
    }
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            Err(LoadCause::NotAComponent { path: path.into() })
        }
        Some([0, b'a', b's', b'm', ..]) => {
            let functions = functions(&bytes);
            if functions > FUNCTIONS_MAX {
                let (path, limit) = (path.into(), FUNCTIONS_MAX);
                return Err(LoadCause::TooMuch { path, functions, limit });
            }
            Ok(Loaded { bytes, digest })
        }
        _ => Err(LoadCause::NotWasm { path: path.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_digest_is_that_of_the_bytes_and_a_pinned_one_must_match() {
        let file = file(COMPONENT);
        let loaded = load(file.path(), None).unwrap();
        assert_eq!(loaded.bytes, COMPONENT);
        assert_eq!(loaded.digest.hex().len(), 64);
        assert!(load(file.path(), Some(loaded.digest.0)).is_ok());
        let error = load(file.path(), Some([7; 32])).unwrap_err();
        assert!(matches!(&error, LoadCause::Digest { found, .. } if *found == loaded.digest.hex()));
    }

    #[test]
    fn a_core_module_is_told_from_a_component_and_from_anything_else() {
        let module = load(file(b"\0asm\x01\0\0\0").path(), None).unwrap_err();
        assert!(matches!(module, LoadCause::NotAComponent { .. }));
        for other in [&b"#!/bin/sh"[..], b"", b"\0as"] {
            let error = load(file(other).path(), None).unwrap_err();
            assert!(matches!(error, LoadCause::NotWasm { .. }), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/no/such/plugin.wasm"), None).unwrap_err();
        assert!(error.to_string().contains("/no/such/plugin.wasm"), "{error}");
    }

    #[test]
    fn a_file_beyond_the_bound_is_refused_without_reading_it_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(SIZE_MAX + 1).unwrap();
        let error = load(file.path(), None).unwrap_err();
        assert!(matches!(error, LoadCause::TooLarge { limit: SIZE_MAX, .. }));
        file.as_file().set_len(SIZE_MAX).unwrap();
        let error = load(file.path(), None).unwrap_err();
        assert!(matches!(error, LoadCause::NotWasm { .. }));
    }
}
