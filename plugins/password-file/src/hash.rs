//! One user's hash: reading it, and computing the same from a password. Three schemes: Argon2id in PHC form,
//! and what mosquitto_passwd writes, `$6$` (salted SHA-512) and `$7$` (PBKDF2 with HMAC-SHA-512).

use argon2::{Algorithm, Argon2, Block, MIN_SALT_LEN, Params, Version};
use base64ct::{Base64, Base64Unpadded, Encoding};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

/// More than this no component has: half of what 32 bits can address, in KiB.
const MAX_KIB: u32 = 2 * 1024 * 1024;

/// Far beyond what a login could wait for; mosquitto writes 101 or 1,000.
const MAX_ITERATIONS: u32 = 10_000_000;

/// SHA-512, in bytes.
const DIGEST: usize = 64;

/// What one verification costs, and what tells hashes apart by the time they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    Argon2id(Params),
    /// The number of iterations.
    Pbkdf2Sha512(u32),
    Sha512,
}

/// One user's hash, read once.
#[derive(Clone)]
pub(crate) struct Hash {
    pub(crate) scheme: Scheme,
    salt: Vec<u8>,
    expected: Vec<u8>,
}

impl Hash {
    /// # Errors
    /// What is wrong with the hash.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(fields) = text.strip_prefix("$6$") {
            return Self::mosquitto(Scheme::Sha512, fields);
        }
        if let Some(rest) = text.strip_prefix("$7$") {
            let (iterations, fields) =
                rest.split_once('$').ok_or("not of the form $7$ITERATIONS$SALT$HASH")?;
            let plain = iterations.bytes().all(|digit| digit.is_ascii_digit());
            let scheme = match iterations.parse() {
                Ok(number @ 1..=MAX_ITERATIONS) if plain => Scheme::Pbkdf2Sha512(number),
                _ => {
                    return Err(format!(
                        "its iterations are not a number from 1 to {MAX_ITERATIONS}"
                    ));
                }
            };
            return Self::mosquitto(scheme, fields);
        }
        Self::argon2id(text)
    }

    fn mosquitto(scheme: Scheme, fields: &str) -> Result<Self, String> {
        let (salt, hash) = fields.split_once('$').ok_or("it lacks its salt or its hash")?;
        let decode = |what: &str, text: &str| {
            Base64::decode_vec(text).map_err(|_| format!("its {what} is not Base64"))
        };
        let (salt, expected) = (decode("salt", salt)?, decode("hash", hash)?);
        if salt.is_empty() {
            return Err("its salt is empty".to_owned());
        }
        if expected.len() != DIGEST {
            return Err(format!("its hash has {} bytes, not {DIGEST}", expected.len()));
        }
        Ok(Self { scheme, salt, expected })
    }

    /// By hand: libraries for PHC strings take salts of up to 48 bytes, and mosquitto's have 64.
    fn argon2id(phc: &str) -> Result<Self, String> {
        let form = "$argon2id$v=19$m=...,t=...,p=...$SALT$HASH";
        let Some(fields) = phc.strip_prefix("$argon2") else {
            return Err(format!(
                "neither an Argon2id hash ({form}) nor $6$ or $7$ of mosquitto_passwd"
            ));
        };
        let Some(fields) = fields.strip_prefix("id$") else {
            return Err("only argon2id is accepted of the Argon2 hashes".to_owned());
        };
        let Some(fields) = fields.strip_prefix("v=19$") else {
            return Err("the hash lacks v=19, the only version accepted".to_owned());
        };
        let mut fields = fields.split('$');
        let (Some(costs), Some(salt), Some(hash), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("not of the form {form}"));
        };
        let decode = |what: &str, text: &str| {
            Base64Unpadded::decode_vec(text).map_err(|_| format!("its {what} is not Base64"))
        };
        let (salt, expected) = (decode("salt", salt)?, decode("hash", hash)?);
        if salt.len() < MIN_SALT_LEN || expected.len() > DIGEST {
            return Err(format!(
                "its salt has less than {MIN_SALT_LEN} bytes, or its hash more than {DIGEST}"
            ));
        }
        let params = costs_of(costs, expected.len())
            .ok_or_else(|| format!("its costs {costs:?} are not of the form m=7168,t=5,p=1"))?
            .map_err(|error| format!("its costs or its hash are refused: {error}"))?;
        Ok(Self { scheme: Scheme::Argon2id(params), salt, expected })
    }

    /// Whether this is the password. Takes the same time whether it is or not.
    ///
    /// # Errors
    /// When Argon2 does not run: the password is longer than it takes, or the memory is too small.
    pub(crate) fn verify(&self, password: &[u8], memory: &mut Memory) -> Result<bool, String> {
        let mut computed = [0; DIGEST];
        match &self.scheme {
            Scheme::Sha512 => {
                let digest = Sha512::new().chain_update(password).chain_update(&self.salt);
                computed.copy_from_slice(&digest.finalize());
            }
            Scheme::Pbkdf2Sha512(iterations) => {
                pbkdf2::pbkdf2_hmac::<Sha512>(password, &self.salt, *iterations, &mut computed);
            }
            Scheme::Argon2id(params) => {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let output = computed
                    .get_mut(..self.expected.len())
                    .ok_or("the hash is longer than 64 bytes")?;
                let blocks = &mut memory.0;
                let ran =
                    argon2.hash_password_into_with_memory(password, &self.salt, output, blocks);
                memory.wipe();
                ran.map_err(|error| format!("Argon2 did not run: {error}"))?;
            }
        }
        let computed =
            computed.get(..self.expected.len()).ok_or("the hash is longer than 64 bytes")?;
        Ok(bool::from(computed.ct_eq(&self.expected)))
    }
}

/// From `m=7168,t=5,p=1`; none when it is not of that form.
fn costs_of(costs: &str, output: usize) -> Option<Result<Params, argon2::Error>> {
    let mut costs = costs.split(',');
    let mut cost = |name| costs.next()?.strip_prefix(name)?.parse().ok();
    let (m, t, p) = (cost("m=")?, cost("t=")?, cost("p=")?);
    costs.next().is_none().then(|| Params::new(m, t, p, Some(output)))
}

/// What Argon2 works in: as much as the most demanding scheme needs, allocated once.
pub(crate) struct Memory(Vec<Block>);

impl Memory {
    /// # Errors
    /// When the component may not have that much memory.
    pub(crate) fn for_schemes<'a>(
        schemes: impl Iterator<Item = &'a Scheme>,
    ) -> Result<Self, String> {
        let demands = schemes.filter_map(|scheme| match scheme {
            Scheme::Argon2id(params) => Some(params),
            _ => None,
        });
        let Some(most) = demands.max_by_key(|params| params.m_cost()) else {
            return Ok(Self(Vec::new()));
        };
        let mut blocks = Vec::new();
        if most.m_cost() > MAX_KIB || blocks.try_reserve_exact(most.block_count()).is_err() {
            return Err(format!(
                "a hash with m={} needs as many KiB of memory and the plugin may not have that much; \
                 raise the plugin's limits.memory, or hash with m=7168,t=5,p=1",
                most.m_cost()
            ));
        }
        blocks.resize(most.block_count(), Block::new());
        Ok(Self(blocks))
    }

    /// What is left in it would make guessing the last password cheap.
    fn wipe(&mut self) {
        self.0.fill(Block::new());
    }
}
