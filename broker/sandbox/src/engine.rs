//! The one wasm engine of the process: which proposals are on, how instances are allocated, the
//! compile cache, and the ticker behind every deadline. Must not know plugins.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use crate::error::LoadCause;
use crate::options::PluginLimits;
use crate::ticker::Ticker;

/// Instances of components that may exist at the same time, two generations together.
const INSTANCES: u32 = 1024;
/// A component is made of several core modules: its own, and the adapters of its toolchain.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
const MEMORIES_PER_COMPONENT: u32 = 4;
const TABLES_PER_COMPONENT: u32 = 16;
/// Files and bytes in the compile cache; the least used go first.
const CACHE_FILES: u64 = 256;
const CACHE_BYTES: u64 = 1 << 30;

/// The engine and its clock.
#[derive(Clone)]
pub(crate) struct Machine {
    engine: Engine,
    ticker: Arc<Ticker>,
}

impl Machine {
    /// Starts the engine, with compiled components kept in `cache_dir`.
    pub(crate) fn start(cache_dir: Option<&Path>) -> Result<Self, LoadCause> {
        let cache = cache_dir.map(open_cache).transpose()?;
        let engine = match Engine::new(&config(cache.clone(), pooling())) {
            Ok(engine) => engine,
            Err(error) => {
                // The pool reserves terabytes of address space, which `ulimit -v` may forbid.
                tracing::warn!(%error, "plugin instances cannot be pooled; starting one takes longer");
                Engine::new(&config(cache, InstanceAllocationStrategy::OnDemand))
                    .map_err(|error| LoadCause::Engine(format!("{error:#}")))?
            }
        };
        let ticker = Ticker::start(&engine)
            .map_err(|error| LoadCause::Engine(format!("its ticker: {error}")))?;
        Ok(Self { engine, ticker: Arc::new(ticker) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn ticker(&self) -> &Arc<Ticker> {
        &self.ticker
    }

    /// Native code for a component, from the cache where it is there.
    pub(crate) fn compile(&self, path: &Path, bytes: &[u8]) -> Result<Component, LoadCause> {
        Component::from_binary(&self.engine, bytes)
            .map_err(|error| LoadCause::Corrupt { path: path.into(), why: format!("{error:#}") })
    }
}

fn config(cache: Option<Cache>, allocation: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .cache(cache)
        .allocation_strategy(allocation)
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(8))
        // Names of functions are enough for a trap's message.
        .generate_address_map(false)
        // Calls are synchronous; without this they cost less.
        .concurrency_support(false)
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}

fn pooling() -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 8)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES * 2)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .table_elements(PluginLimits::TABLE_ELEMENTS_MAX as usize)
        .max_memory_size(PluginLimits::MEMORY_MAX as usize);
    InstanceAllocationStrategy::Pooling(pool)
}

fn open_cache(directory: &Path) -> Result<Cache, LoadCause> {
    let unusable = |why: String| LoadCause::CacheDirectory { path: directory.into(), why };
    if !directory.is_absolute() {
        return Err(unusable("give an absolute path".into()));
    }
    private_directory(directory).map_err(|error| unusable(error.to_string()))?;
    let mut config = CacheConfig::new();
    config
        .with_directory(directory)
        .with_file_count_soft_limit(CACHE_FILES)
        .with_files_total_size_soft_limit(CACHE_BYTES)
        // Compressing the same code again and harder is not worth a core of a small broker.
        .with_optimized_compression_usage_counter_threshold(u64::MAX);
    Cache::new(config).map_err(|error| unusable(format!("{error:#}")))
}

/// Makes the directory for this user alone, or checks that nobody else may write to it: its files
/// are run as native code.
#[cfg(unix)]
fn private_directory(directory: &Path) -> std::io::Result<()> {
    use std::io::{Error, ErrorKind};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};

    let context = |error: Error| Error::new(error.kind(), format!("{error}; check who owns it"));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(context)?;
    let found = std::fs::metadata(directory)?;
    if found.mode() & 0o022 != 0 {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "others may write to it (mode {:o}); run chmod 700 on it",
                found.mode() & 0o777
            ),
        ));
    }
    // Who a new file belongs to tells who we are, and that we may write.
    let probe = directory.join(format!(".probe-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let ours = options.write(true).create(true).truncate(true).mode(0o600).open(&probe);
    let ours = ours.map_err(context)?.metadata();
    match std::fs::remove_file(&probe) {
        // Another thread checked at the same time.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed?,
    }
    if ours?.uid() != found.uid() {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "it belongs to another user; run chown on it, or name another directory",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_directory(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_directory_is_made_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("a/b");
        assert!(Machine::start(Some(&directory)).is_ok());
        let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_cache_directory_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let error = Machine::start(Some(directory.path())).err().unwrap().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_relative_cache_directory_is_refused() {
        let error = Machine::start(Some(Path::new("cache"))).err().unwrap().to_string();
        assert!(error.contains("absolute"), "{error}");
    }

    #[test]
    fn a_component_is_compiled_once_per_cache_directory() {
        let directory = tempfile::tempdir().unwrap();
        let cache = open_cache(directory.path()).unwrap();
        for _ in 0..3 {
            let engine = Engine::new(&config(Some(cache.clone()), pooling())).unwrap();
            Component::from_binary(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        }
        assert_eq!((cache.cache_hits(), cache.cache_misses()), (2, 1));
    }
}
