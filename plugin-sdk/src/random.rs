//! Randomness that nobody can foresee. A plugin has no source of its own.

/// `N` bytes from the broker's secure source; one call into the broker for each eight. On the host they are made
/// by the hasher of the standard library, which is good for tests only.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        for (byte, random) in chunk.iter_mut().zip(number().to_le_bytes()) {
            *byte = random;
        }
    }
    bytes
}

fn number() -> u64 {
    #[cfg(target_family = "wasm")]
    return crate::bindings::imports::wasmqtt::plugin::random::get_u64();
    #[cfg(not(target_family = "wasm"))]
    return crate::test::random();
}
