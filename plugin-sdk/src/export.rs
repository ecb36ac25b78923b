//! From a type that implements hooks to a component that exports them.

use std::cell::RefCell;

use crate::bindings::authentication::exports::wasmqtt::plugin::authentication;
use crate::bindings::authorization::exports::wasmqtt::plugin::authorization;
use crate::bindings::enhanced_authentication::exports::wasmqtt::plugin::enhanced_authentication;
use crate::bindings::imports::wasmqtt::plugin::messages;
use crate::bindings::lifecycle::exports::wasmqtt::plugin::lifecycle;
use crate::bindings::observation::exports::wasmqtt::plugin::observation;
use crate::bindings::transformation::exports::wasmqtt::plugin::transformation;
use crate::{
    Authentication, Authorization, Client, Connect, Decision, EnhancedAuthentication, Event,
    Failure, Observation, Outcome, Plugin, Registration, Request, Step, Transformation, Verdict,
};

/// Where [`export!`](crate::export!) keeps the plugin between calls. A component has one thread and is
/// never entered twice, so the cell is never found borrowed.
pub trait Component {
    type Plugin: Plugin;

    fn with<R>(use_it: impl FnOnce(&RefCell<Option<Self::Plugin>>) -> R) -> R;
}

fn call<C: Component, R>(
    hook: impl FnOnce(&mut C::Plugin) -> Result<R, Failure>,
) -> Result<R, Failure> {
    C::with(|cell| match cell.borrow_mut().as_mut() {
        Some(plugin) => hook(plugin),
        None => Err(Failure::permanent("a hook was called before init succeeded")),
    })
}

impl<C: Component> lifecycle::Guest for C {
    fn init(config: String) -> Result<Registration, String> {
        #[cfg(target_family = "wasm")]
        std::panic::set_hook(Box::new(|panic| {
            crate::log::write(crate::log::Level::Error, &panic.to_string());
        }));
        let (plugin, registration) = crate::init::init::<C::Plugin>(&config)?;
        C::with(|cell| *cell.borrow_mut() = Some(plugin));
        Ok(registration)
    }
}

impl<C: Component<Plugin: Authentication>> authentication::Guest for C {
    fn authenticate(connect: Connect) -> Result<Outcome, Failure> {
        call::<C, _>(|plugin| plugin.authenticate(&connect))
    }
}

impl<C: Component<Plugin: EnhancedAuthentication>> enhanced_authentication::Guest for C {
    fn methods() -> Vec<String> {
        C::with(|cell| cell.borrow().as_ref().map(|plugin| plugin.methods()).unwrap_or_default())
    }

    fn begin(connect: Connect, method: String, data: Vec<u8>) -> Result<Step, Failure> {
        call::<C, _>(|plugin| plugin.begin(&connect, &method, &data))
    }

    fn proceed(
        connect: Connect,
        method: String,
        data: Vec<u8>,
        state: Vec<u8>,
    ) -> Result<Step, Failure> {
        call::<C, _>(|plugin| plugin.proceed(&connect, &method, &data, &state))
    }
}

impl<C: Component<Plugin: Authorization>> authorization::Guest for C {
    fn authorize(client: Client, request: Request) -> Result<Decision, Failure> {
        call::<C, _>(|plugin| plugin.authorize(&client, &request))
    }
}

impl<C: Component<Plugin: Transformation>> transformation::Guest for C {
    fn on_publish(message: &messages::Message) -> Result<Verdict, Failure> {
        call::<C, _>(|plugin| plugin.on_publish(message))
    }

    fn on_deliver(subscriber: Client, message: &messages::Message) -> Result<Verdict, Failure> {
        call::<C, _>(|plugin| plugin.on_deliver(&subscriber, message))
    }
}

impl<C: Component<Plugin: Observation>> observation::Guest for C {
    fn on_events(events: Vec<Event>, lost: u64) {
        // The broker calls nothing before init succeeded.
        C::with(|cell| {
            if let Some(plugin) = cell.borrow_mut().as_mut() {
                plugin.on_events(&events, lost);
            }
        });
    }

    fn tick() {
        C::with(|cell| {
            if let Some(plugin) = cell.borrow_mut().as_mut() {
                plugin.tick();
            }
        });
    }
}

/// Makes a component of a plugin: `export!(MyPlugin: authentication, authorization);`, once in a crate,
/// with the hooks that `MyPlugin` implements, of `authentication`, `enhanced_authentication`, `authorization`,
/// `transformation` and `observation`.
/// The component exports these interfaces, `lifecycle`, and nothing else. On the host it only checks
/// that `MyPlugin` implements them.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($hook:ident),+ $(,)?) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            struct Exported;

            impl $crate::export::Component for Exported {
                type Plugin = $plugin;

                fn with<R>(
                    use_it: impl FnOnce(&::std::cell::RefCell<::std::option::Option<$plugin>>) -> R,
                ) -> R {
                    PLUGIN.with(use_it)
                }
            }

            $crate::bindings::lifecycle::export_lifecycle!(
                Exported with_types_in $crate::bindings::lifecycle
            );
            $($crate::__export_hook!($hook Exported);)+
        };

        #[cfg(not(target_family = "wasm"))]
        const _: () = { $($crate::__require_hook!($hook $plugin);)+ };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_hook {
    (authentication $exported:ident) => {
        $crate::bindings::authentication::export_authentication!(
            $exported with_types_in $crate::bindings::authentication
        );
    };
    (enhanced_authentication $exported:ident) => {
        $crate::bindings::enhanced_authentication::export_enhanced_authentication!(
            $exported with_types_in $crate::bindings::enhanced_authentication
        );
    };
    (authorization $exported:ident) => {
        $crate::bindings::authorization::export_authorization!(
            $exported with_types_in $crate::bindings::authorization
        );
    };
    (transformation $exported:ident) => {
        $crate::bindings::transformation::export_transformation!(
            $exported with_types_in $crate::bindings::transformation
        );
    };
    (observation $exported:ident) => {
        $crate::bindings::observation::export_observation!(
            $exported with_types_in $crate::bindings::observation
        );
    };
    ($other:ident $exported:ident) => { $crate::__no_hook!($other); };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __require_hook {
    (authentication $plugin:ty) => {
        const _: fn() = {
            fn implements<P: $crate::Authentication>() {}
            implements::<$plugin>
        };
    };
    (enhanced_authentication $plugin:ty) => {
        const _: fn() = {
            fn implements<P: $crate::EnhancedAuthentication>() {}
            implements::<$plugin>
        };
    };
    (authorization $plugin:ty) => {
        const _: fn() = {
            fn implements<P: $crate::Authorization>() {}
            implements::<$plugin>
        };
    };
    (transformation $plugin:ty) => {
        const _: fn() = {
            fn implements<P: $crate::Transformation>() {}
            implements::<$plugin>
        };
    };
    (observation $plugin:ty) => {
        const _: fn() = {
            fn implements<P: $crate::Observation>() {}
            implements::<$plugin>
        };
    };
    ($other:ident $plugin:ty) => {
        $crate::__no_hook!($other);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __no_hook {
    ($other:ident) => {
        ::std::compile_error!(::std::concat!(
            "`",
            ::std::stringify!($other),
            "` is no hook; the hooks are authentication, enhanced_authentication, authorization, ",
            "transformation and observation"
        ));
    };
}
