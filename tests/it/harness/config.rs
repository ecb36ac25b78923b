//! Pieces of configuration files. Must not know what runs on them.

use super::{component, root};

/// A listener `mqtt` where everybody may do everything.
pub(crate) const OPEN: &str = "\
[[listener]]
name = \"mqtt\"
bind = \"127.0.0.1:0\"
anonymous = true
default = \"allow\"
";

/// Queues that lose nothing in a test.
pub(crate) const LOSSLESS: &str = "\
[limits]
queue = { messages = 1000000, bytes = \"1GiB\" }
";

/// The demo configuration as users get it, but on a port of its own, with components wherever they are, and with
/// time enough on a machine that is busy with other tests.
pub(crate) fn demo() -> String {
    let text = std::fs::read_to_string(root().join("broker/demo.toml")).unwrap();
    let plugins = component("topic_acl").parent().unwrap().to_owned();
    let text = replaced(&text, "127.0.0.1:1883", "127.0.0.1:0");
    let text = replaced(&text, "target/plugins", &plugins.display().to_string());
    replaced(
        &text,
        ".wasm\"\n",
        ".wasm\"\nlimits = { memory = \"16MiB\", call = \"1s\", authenticate = \"20s\" }\n",
    )
}

/// `text` with every `from` replaced, of which there must be one.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?} in:\n{text}");
    text.replace(from, to)
}

/// An open listener, named after its first word, with the chains that `more` says.
pub(crate) fn open_listener(name: &str, more: &str) -> String {
    format!("{}{more}\n", OPEN.replace("\"mqtt\"", &format!("\"{name}\"")))
}

/// A plugin called `name` that is the component `file`, with further keys and with time enough on a machine that is
/// busy with other tests, unless `keys` has limits of its own.
pub(crate) fn plugin(name: &str, file: &str, keys: &str) -> String {
    plugin_at(name, &component(file), keys)
}

/// As [`plugin`], of a component anywhere.
pub(crate) fn plugin_at(name: &str, path: &std::path::Path, keys: &str) -> String {
    let path = path.display();
    let limits = if keys.contains("limits") { "" } else { "limits = { call = \"1s\" }\n" };
    format!("[[plugin]]\nname = \"{name}\"\npath = \"{path}\"\n{limits}{keys}\n")
}

/// The guest that misbehaves.
pub(crate) fn hostile(keys: &str, config: &str) -> String {
    plugin("hostile", "hostile", &format!("{keys}\n[plugin.config]\n{config}"))
}

/// Users log in with the password file, but those with `slow` in their client identifier meet an endless loop before.
pub(crate) fn slow_authenticator(deadline: &str, more: &str) -> String {
    let keys = format!("limits = {{ authenticate = \"{deadline}\" }}");
    let config = "on = \"authenticate\"\ndo = \"loop\"\nwhen = \"slow\"\notherwise = \"abstain\"";
    let demo = demo().replace("[\"password-file\"]", "[\"hostile\", \"password-file\"]");
    format!("{demo}{}{more}", hostile(&keys, config))
}
