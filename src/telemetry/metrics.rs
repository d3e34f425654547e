//! Every metric of the daemon, in one list. **A metric = one field and one line in [`Metrics::new`].**
//!
//! Names and units follow Prometheus's conventions. No label ever holds text that comes from a log: labels are names of the
//! configuration (source, channel, responder) and fixed words (reason, result, severity).

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The metrics of one process, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    pub records: IntCounterVec,
    pub rejects: IntCounterVec,
    pub suspects: IntCounterVec,
    pub events: IntCounterVec,
    pub read_bytes: IntCounterVec,
    pub skipped_bytes: IntCounterVec,
    pub source_up: IntGaugeVec,
    pub source_silent_seconds: GaugeVec,
    pub gaps: IntCounterVec,
    pub gap_bytes: IntCounterVec,
    pub attributed_ratio: GaugeVec,
    pub tokens: IntGaugeVec,
    pub places: IntGauge,
    pub places_forgotten: IntGauge,
    pub tokens_pinned: IntGauge,
    pub inventory_tokens: IntGaugeVec,
    pub findings: IntCounterVec,
    pub suppressed: IntCounterVec,
    pub alerts: IntCounterVec,
    pub deliveries: IntCounterVec,
    pub outbox_pending: IntGaugeVec,
    pub outbox_oldest_seconds: GaugeVec,
    pub actions: IntCounterVec,
    pub commits: IntCounter,
    pub commit_seconds: Histogram,
    pub event_delay_seconds: Histogram,
    pub dictionary_refused: IntGauge,
    pub store_full: IntGauge,
    pub reload_success: IntGauge,
    pub reload_success_time: Gauge,
}

impl Metrics {
    /// # Errors
    /// Never for this fixed list; a duplicate or malformed name would be one, and the tests would show it.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let floats = |name: &str, help: &str, labels: &[&str]| -> Result<GaugeVec, prometheus::Error> {
            let metric = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| -> Result<Histogram, prometheus::Error> {
            let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let metrics = Metrics {
            records: counters("tokenwatch_records_total", "Records by what became of them.", &["source", "result"])?,
            rejects: counters("tokenwatch_rejects_total", "Records that could not be read, by reason.", &["source", "reason"])?,
            suspects: counters("tokenwatch_suspect_records_total", "Records that a client may have forged.", &["source"])?,
            events: counters("tokenwatch_events_total", "Events by kind.", &["source", "kind"])?,
            read_bytes: counters("tokenwatch_read_bytes_total", "Bytes read from the source.", &["source"])?,
            skipped_bytes: counters("tokenwatch_skipped_bytes_total", "Bytes that belong to no record.", &["source"])?,
            source_up: gauges("tokenwatch_source_up", "1 while the source can be read.", &["source"])?,
            source_silent_seconds: floats("tokenwatch_source_silent_seconds", "Seconds since the source last gave anything.", &["source"])?,
            gaps: counters("tokenwatch_gaps_total", "Stretches of a log known to be unseen.", &["source", "reason"])?,
            gap_bytes: counters("tokenwatch_gap_bytes_total", "Bytes (Kafka: messages) known to be unseen.", &["source"])?,
            attributed_ratio: floats(
                "tokenwatch_attributed_ratio",
                "Share of the queries since the start that name a token.",
                &["source"],
            )?,
            tokens: gauges("tokenwatch_tokens", "Tokens known, by state.", &["state"])?,
            places: gauge("tokenwatch_places", "Addresses and networks of which rules remember something.")?,
            places_forgotten: gauge("tokenwatch_places_forgotten", "Of these, how many had to make room since the start.")?,
            tokens_pinned: gauge("tokenwatch_tokens_pinned", "Tokens whose baseline is pinned; each has a state, too.")?,
            inventory_tokens: gauges(
                "tokenwatch_inventory_tokens",
                "Tokens that nobody declared, owns, rotates or uses, by condition.",
                &["condition"],
            )?,
            findings: counters("tokenwatch_findings_total", "Findings by detector.", &["detector"])?,
            suppressed: counters(
                "tokenwatch_findings_suppressed_total",
                "Findings that a standing exception covers, by detector.",
                &["detector"],
            )?,
            alerts: counters("tokenwatch_alerts_total", "Alerts opened or escalated, by severity.", &["severity"])?,
            deliveries: counters("tokenwatch_deliveries_total", "Delivery attempts by result.", &["channel", "result"])?,
            outbox_pending: gauges("tokenwatch_outbox_pending", "Notifications waiting to be delivered.", &["channel"])?,
            outbox_oldest_seconds: floats("tokenwatch_outbox_oldest_seconds", "Age of the oldest notification that waits.", &["channel"])?,
            actions: counters("tokenwatch_actions_total", "Revocations by what became of them.", &["responder", "result"])?,
            commits: {
                let metric = IntCounter::new("tokenwatch_commits_total", "Checkpoints written.")?;
                registry.register(Box::new(metric.clone()))?;
                metric
            },
            commit_seconds: histogram(
                "tokenwatch_commit_seconds",
                "Time to write one checkpoint.",
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
            )?,
            event_delay_seconds: histogram(
                "tokenwatch_event_delay_seconds",
                "From an event's own time to its judgement.",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0],
            )?,
            dictionary_refused: gauge("tokenwatch_dictionary_refused", "Names that found no room and are shown as hashes.")?,
            store_full: gauge("tokenwatch_store_full", "1 while the store's disk is full; reading waits.")?,
            reload_success: gauge("tokenwatch_config_reload_success", "1 if the last reload of the configuration succeeded.")?,
            reload_success_time: {
                let metric = Gauge::new(
                    "tokenwatch_config_last_reload_success_timestamp_seconds",
                    "When the configuration was last loaded successfully, in seconds since 1970.",
                )?;
                registry.register(Box::new(metric.clone()))?;
                metric
            },
            registry: registry.clone(),
        };
        let build = IntGaugeVec::new(Opts::new("tokenwatch_build_info", "Always 1; the version is the label."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        out
    }
}
