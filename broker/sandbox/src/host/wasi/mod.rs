//! WASI 0.2 with nothing behind it, for languages whose runtime imports it: no files, no environment, no
//! arguments, no network; a clock, random bytes, and the log for what is written. Linked by the names that a
//! component imports, so that any 0.2 will do. What is not here traps when it is called. Nothing waits: a
//! plugin has its call's time and no more.

mod io;
mod system;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentType, Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Engine, Result, StoreContextMut, bail};

use super::Host;
pub(crate) use io::Lines;

/// Packages of which any interface may be imported.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
/// Handles of one instance that it has not dropped: what they take is the broker's memory.
pub(crate) const HANDLES_MAX: usize = 1024;

/// Where a guest writes to, by the number behind the handle.
pub(crate) struct OutputStream;
/// Always at its end.
pub(crate) struct InputStream;
/// Always ready.
pub(crate) struct Pollable;
/// Of a stream.
pub(crate) struct IoError;
/// What a guest can hear of but never holds.
pub(crate) struct Nothing;

/// The interface of a WASI 0.2 import, as in `cli/environment`; none for any other.
pub(crate) fn interface(import: &str) -> Option<&str> {
    let (name, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    let (package, _) = name.split_once('/')?;
    (PACKAGES.contains(&package) && version.starts_with("0.2.")).then_some(name)
}

/// Defines one import of a component, which [`interface`] knows by `name`.
pub(crate) fn define(
    linker: &mut Linker<Host>,
    engine: &Engine,
    import: &str,
    name: &str,
    item: &ComponentItem,
) -> Result<()> {
    let ComponentItem::ComponentInstance(instance) = item else {
        bail!("`{import}` is no interface");
    };
    let mut linker = linker.instance(import)?;
    for (item_name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::Resource(_) => resource(&mut linker, item_name)?,
            ComponentItem::ComponentFunc(_) => {
                let known = io::define(&mut linker, name, item_name)?
                    || system::define(&mut linker, name, item_name)?;
                if !known {
                    absent(&mut linker, format!("{import}#{item_name}"), item_name)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn resource(linker: &mut LinkerInstance<'_, Host>, name: &str) -> Result<()> {
    let ty = match name {
        "output-stream" => ResourceType::host::<OutputStream>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "error" => ResourceType::host::<IoError>(),
        _ => ResourceType::host::<Nothing>(),
    };
    linker.resource(name, ty, |mut store, _| {
        store.data_mut().drop_handle();
        Ok(())
    })
}

fn absent(linker: &mut LinkerInstance<'_, Host>, called: String, name: &str) -> Result<()> {
    linker.func_new(name, move |_, _, _, _| {
        bail!("it called `{called}`, but plugins have no files, no sockets and no process")
    })
}

/// A function that does nothing but answer.
fn answer<P, R>(
    linker: &mut LinkerInstance<'_, Host>,
    name: &str,
    answer: impl Fn(&mut Host, P) -> Result<R> + Send + Sync + 'static,
) -> Result<()>
where
    P: wasmtime::component::ComponentNamedList + wasmtime::component::Lift + 'static,
    R: ComponentType + wasmtime::component::Lower + 'static,
{
    linker.func_wrap(name, move |mut store: StoreContextMut<'_, Host>, parameters: P| {
        answer(store.data_mut(), parameters).map(|result| (result,))
    })
}

impl Host {
    /// Counts a handle that the guest will own.
    pub(crate) fn add_handle(&mut self) -> Result<()> {
        if self.handles >= HANDLES_MAX {
            bail!("it holds {HANDLES_MAX} handles and asks for another; it must drop some");
        }
        self.handles += 1;
        Ok(())
    }

    pub(crate) fn drop_handle(&mut self) {
        self.handles = self.handles.saturating_sub(1);
    }

    fn own<T: 'static>(&mut self, rep: u32) -> Result<Resource<T>> {
        self.add_handle()?;
        Ok(Resource::new_own(rep))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_0_2_of_the_basic_packages_is_known_and_nothing_else() {
        assert_eq!(interface("wasi:cli/environment@0.2.0"), Some("cli/environment"));
        assert_eq!(interface("wasi:io/streams@0.2.12"), Some("io/streams"));
        for other in [
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/environment@0.3.0",
            "wasi:cli/environment",
            "acme:cli/environment@0.2.0",
        ] {
            assert_eq!(interface(other), None, "{other}");
        }
    }
}
