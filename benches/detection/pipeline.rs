//! From a day of a log to alerts, as the daemon does it.

use std::sync::Arc;
use std::time::Duration;

use tokenwatch::alert::Alert;
use tokenwatch::config::Config;
use tokenwatch::detect::rule::RuleSet;
use tokenwatch::identity::dictionary::Dictionary;
use tokenwatch::identity::inventory::Inventory;
use tokenwatch::observation::Observation;
use tokenwatch::position::Partition;
use tokenwatch::runtime::intake::{Intake, Unwatched};
use tokenwatch::runtime::judge::Judge;
use tokenwatch::runtime::rulebook::Rulebook;
use tokenwatch::source::{Chunk, Delivery};

pub struct Pipeline {
    intake: Intake,
    pub judge: Judge,
    partition: Arc<Partition>,
    offset: u64,
}

impl Pipeline {
    /// With the built-in rules, and defaults apart from the days of learning and the budget.
    pub fn new(learning: i64, budget: f64, inventory: Inventory) -> Pipeline {
        let mut config = Config::default();
        config.detect.false_alerts_per_1000_token_days = budget;
        config.detect.learning = Duration::from_secs(86_400 * learning as u64);
        let rulebook = Arc::new(Rulebook::new(config, inventory, RuleSet::builtin(), Default::default()));
        let dictionary = Arc::new(Dictionary::default());
        let intake = Intake::new(&rulebook, dictionary.clone());
        let partition = Arc::new(Partition { source: "bench".into(), key: "bench".into(), label: "bench.csv".into() });
        Pipeline { intake, judge: Judge::new(rulebook, dictionary), partition, offset: 0 }
    }

    /// What was seen in the next piece of the log, and what is alerted.
    pub fn take(&mut self, bytes: &[u8]) -> (Vec<Observation>, Vec<Alert>) {
        let mut seen = Vec::new();
        let chunk = Chunk { partition: self.partition.clone(), offset: self.offset, bytes: bytes.to_vec(), message: false };
        self.offset += bytes.len() as u64;
        self.intake.take(&Delivery::Chunk(chunk), &mut seen, &mut Unwatched);
        self.intake.take(&Delivery::Idle(self.partition.clone()), &mut seen, &mut Unwatched);
        let alerts = self.judge.step(&seen, &mut |_, _| {});
        (seen, alerts)
    }
}
