//! How many files and sockets the process may have open: as many as the system lets it, and a word to the operator where
//! that is fewer than the listeners may need.

use crate::config::Config;

/// What is open besides clients: logs, components, wakers of the workers, web services that plugins ask, monitoring.
const OTHERS: u64 = 512;

/// Raises the soft limit to the hard one, which the process cannot raise, and says so. Systems start programs with a soft
/// limit of 1,024 for the sake of those that use `select`.
pub(crate) fn raise() {
    let before = rlimit::getrlimit(rlimit::Resource::NOFILE).map(|(soft, _)| soft).ok();
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::info!(limit, before, "open files"),
        Err(error) => tracing::warn!(%error, before, "cannot raise the limit of open files"),
    }
}

/// Warns where the clients that the listeners take cannot all be there at once.
pub(crate) fn check(config: &Config) {
    if let Ok((limit, _)) = rlimit::getrlimit(rlimit::Resource::NOFILE)
        && let Some(needed) = beyond(limit, config)
    {
        tracing::warn!(
            limit,
            needed,
            "`max_connections` of all listeners need more open files than this process may have: who comes when there are \
             none left waits until somebody goes; raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd) or lower \
             `max_connections`"
        );
    }
}

/// Files that may be needed, where they are more than this.
fn beyond(limit: u64, config: &Config) -> Option<u64> {
    let clients = config.listeners.iter().map(|it| u64::from(it.limits.max_connections));
    let needed = clients.sum::<u64>() + OTHERS;
    (needed > limit).then_some(needed)
}

#[cfg(test)]
mod tests {
    use std::env::VarError;
    use std::path::Path;

    use super::*;

    #[test]
    fn all_listeners_together_and_what_else_is_open_must_fit() {
        let listener = |port: u16, most: u32| {
            format!(
                "[[listener]]\nname = \"l{port}\"\nbind = \"127.0.0.1:{port}\"\nanonymous = true\n\
                 [listener.limits]\nmax_connections = {most}\n"
            )
        };
        let text = listener(1, 1000) + &listener(2, 500);
        let parsed =
            crate::config::parse(Path::new("t.toml"), text, &|_| Err(VarError::NotPresent));
        let (config, _) = parsed.unwrap();
        assert_eq!(beyond(1500 + OTHERS, &config), None);
        assert_eq!(beyond(1499 + OTHERS, &config), Some(1500 + OTHERS));
    }
}
