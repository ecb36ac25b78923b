//! Argon2id: reading a hash, and verifying a password in memory that is kept from login to login. A
//! fresh block of several MiB for each login would in time split the little memory a component has.

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// More than this no component has: half of what 32 bits can address, in KiB.
const MAX_KIB: u32 = 2 * 1024 * 1024;

/// One user's hash, read once.
#[derive(Clone)]
pub(crate) struct Hash {
    params: Params,
    salt: Salt,
    expected: Output,
}

impl Hash {
    /// # Errors
    /// What is wrong with the hash.
    pub(crate) fn parse(phc: &str) -> Result<Self, String> {
        let not_a_hash = |error: &dyn std::fmt::Display| {
            format!(
                "not an Argon2id hash of the form $argon2id$v=19$m=...,t=...,p=...$... ({error})"
            )
        };
        let parsed = PasswordHash::new(phc).map_err(|error| not_a_hash(&error))?;
        if parsed.algorithm != Algorithm::Argon2id.ident() {
            return Err(format!("the hash is {}; only argon2id is accepted", parsed.algorithm));
        }
        if parsed.version != Some(Version::V0x13.into()) {
            return Err("the hash lacks v=19, the only version accepted".to_owned());
        }
        let params = Params::try_from(&parsed).map_err(|error| not_a_hash(&error))?;
        match (parsed.salt, parsed.hash) {
            (Some(salt), Some(expected)) => Ok(Self { params, salt, expected }),
            _ => Err("it holds no hash, only parameters".to_owned()),
        }
    }

    /// The memory that a verification needs, in KiB.
    pub(crate) fn kib(&self) -> u32 {
        self.params.m_cost()
    }

    /// Comparable: the memory written by one verification, in KiB.
    pub(crate) fn cost(&self) -> u64 {
        u64::from(self.params.m_cost()) * u64::from(self.params.t_cost())
    }

    /// Whether this is the password. Takes the same time whether it is or not.
    ///
    /// # Errors
    /// When Argon2 does not run: the password is longer than it takes, or the memory is too small.
    pub(crate) fn verify(&self, password: &[u8], memory: &mut Memory) -> Result<bool, String> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let mut bytes = [0; Output::MAX_LENGTH];
        let output =
            bytes.get_mut(..self.expected.len()).ok_or("the hash is longer than 64 bytes")?;
        let computed =
            argon2.hash_password_into_with_memory(password, &self.salt, output, &mut memory.0);
        memory.wipe();
        computed.map_err(|error| format!("Argon2 did not run: {error}"))?;
        // The comparison of `Output` takes the same time wherever they differ.
        let output = Output::new(output).map_err(|error| error.to_string())?;
        Ok(output == self.expected)
    }
}

/// What Argon2 works in: as much as the most demanding hash needs, allocated once.
pub(crate) struct Memory(Vec<Block>);

impl Memory {
    /// # Errors
    /// When the component may not have that much memory.
    pub(crate) fn for_hash(hash: &Hash) -> Result<Self, String> {
        let count = hash.params.block_count();
        let mut blocks = Vec::new();
        if hash.kib() > MAX_KIB || blocks.try_reserve_exact(count).is_err() {
            return Err(format!(
                "the hash needs {} KiB of memory and the plugin may not have that much; raise the \
                 plugin's limits.memory, or hash with m=7168,t=5,p=1",
                hash.kib()
            ));
        }
        blocks.resize(count, Block::new());
        Ok(Self(blocks))
    }

    /// What is left in it would make guessing the last password cheap.
    fn wipe(&mut self) {
        self.0.fill(Block::new());
    }
}
