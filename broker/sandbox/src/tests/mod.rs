//! The plugin host with small components in it, asked through the ports of the core.

mod authorize;
mod deliver;
mod entrance;
mod faults;
mod hostile;
mod loading;
mod publish;
mod reload;
mod reuse;
mod wasi;

use std::sync::Arc;

use wasmqtt_codec::ReasonCode;
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Decision, Judge, Permissions, Refusal, Transformed};
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;

use crate::options::{ChainSpec, OnFailure, PluginSpec};
use crate::sandbox::{Sandbox, WorkerJudge};
use crate::testing::{Puppet, chain, client, message, publish, sandbox};

const NOW: Moment = Moment(1_000);

/// A broker with one generation, and its first worker.
struct Bench {
    sandbox: Sandbox,
    judge: WorkerJudge,
    client: Arc<Client>,
    /// Of the plugins; gone with the bench.
    _files: Vec<tempfile::TempPath>,
}

impl Bench {
    fn new(
        plugins: &[(&str, Puppet)],
        edit: impl Fn(&mut Vec<PluginSpec>, &mut ChainSpec),
    ) -> Self {
        let sandbox = sandbox();
        let (mut specs, files): (Vec<_>, Vec<_>) =
            plugins.iter().map(|(name, puppet)| puppet.spec(name)).unzip();
        let names: Vec<&str> = plugins.iter().map(|(name, _)| *name).collect();
        let mut chain = chain(&names);
        edit(&mut specs, &mut chain);
        let generation = sandbox.prepare(&specs, &[chain]).unwrap();
        sandbox.swap(generation);
        let judge = sandbox.judge(0);
        Self { sandbox, judge, client: client(Permissions::default()), _files: files }
    }

    /// One plugin of this kind, in every chain, with this failure policy.
    fn with(puppet: Puppet, on_failure: OnFailure) -> Self {
        Self::new(&[("x", puppet)], |specs, _| specs[0].on_failure = on_failure)
    }

    fn authorize(&mut self, topic: &str) -> Decision {
        self.judge.authorize(NOW, &self.client, &publish(topic))
    }

    fn transform(&mut self, topic: &str) -> Transformed {
        self.judge.transform(NOW, &self.client, message(topic, b"21.5"))
    }

    fn forwarded(&mut self, topic: &str) -> Message {
        match self.transform(topic) {
            Transformed::Forward(message) => message,
            other => panic!("{topic}: {other:?}"),
        }
    }

    fn rejected(&mut self, topic: &str) -> ReasonCode {
        match self.transform(topic) {
            Transformed::Reject(refusal) => refusal.code,
            other => panic!("{topic}: {other:?}"),
        }
    }

    fn status(&self) -> crate::PluginStatus {
        self.sandbox.current().plugins().next().unwrap()
    }
}

fn denied(code: ReasonCode) -> Decision {
    Decision::Deny(Refusal::new(code))
}
