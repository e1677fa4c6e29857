//! What honest heartbeats are worth while strangers attack: for each attack the goodput under it, against that of a
//! control in the same run, in which the attacker's core is burnt by nobody's requests.
//!
//! The backend, Postgres and the honest nodes have one core, the attacker the other. Heartbeats come in an open loop at a
//! third of what was answered in a closed one.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;
use nodesys_clock::Clock;
use nodesys_core::Address;

use crate::attack::Attack;
use crate::honest::{Honest, Told};

/// Time for the capacity.
const MEASURED: Duration = Duration::from_secs(5);
/// Rounds of control and attack, in turn, so that a busy machine is busy in both.
const ROUNDS: u32 = 2;
/// A control that loses more says nothing of the attack.
const LEAST_CONTROL: f64 = 0.9;
/// Time for an attack to unfold.
const UNFOLDING: Duration = Duration::from_secs(2);

/// Where the attacker runs.
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) registry: Address,
    pub(crate) core: u32,
    /// Of each control and each attack.
    pub(crate) time: Duration,
}

/// Runs the attacks in turn.
pub(crate) async fn run(
    honest: &Arc<Honest>,
    target: &Target,
    attacks: &[Attack],
) -> anyhow::Result<()> {
    for attack in attacks {
        // For each anew: a machine that others use has another one by then.
        let capacity = {
            let _burner = target.start(Attack::Control)?;
            honest.capacity(MEASURED).await?
        };
        let rate = (capacity / 3.0).min(honest.most_per_second());
        let (mut control, mut attacked) = (Told::default(), Told::default());
        for _ in 0..ROUNDS {
            control += target.under(Attack::Control, honest, rate).await?;
            attacked += target.under(*attack, honest, rate).await?;
        }
        let name = attack.to_possible_value().context("an attack has a name")?;
        let name = name.get_name();
        println!("hostile.{name}.offered {rate:.0} heartbeats/s");
        println!("hostile.{name}.control_ratio {:.3} of due", control.share());
        if control.share() < LEAST_CONTROL {
            eprintln!(
                "hostile.{name}: not measured: the control itself lost too much, the machine is too busy"
            );
            continue;
        }
        let goodput = attacked.share() / control.share();
        println!("hostile.{name}.goodput_ratio {goodput:.3} of control");
    }
    Ok(())
}

impl Target {
    /// What comes of the heartbeats while the attack goes on.
    async fn under(&self, attack: Attack, honest: &Arc<Honest>, rate: f64) -> anyhow::Result<Told> {
        let _attacker = self.start(attack)?;
        Clock::system().sleeper().sleep(UNFOLDING).await;
        Ok(honest.open_loop(rate, self.time).await)
    }

    /// A process of its own, on its core.
    fn start(&self, attack: Attack) -> anyhow::Result<Attacker> {
        let name = attack.to_possible_value().context("an attack has a name")?;
        let child = Command::new("taskset")
            .args(["--cpu-list", &self.core.to_string()])
            .arg(std::env::current_exe().context("our own program")?)
            .args(["attack", name.get_name(), "--base", &self.base])
            .args(["--registry", &self.registry.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("taskset (of util-linux) pins the attacker")?;
        Ok(Attacker(child))
    }
}

/// An attacker, which ends with this.
struct Attacker(Child);

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Told {
    fn share(self) -> f64 {
        f64::from(self.good) / f64::from(self.due.max(1))
    }
}

impl std::ops::AddAssign for Told {
    fn add_assign(&mut self, other: Self) {
        self.due += other.due;
        self.good += other.good;
    }
}
