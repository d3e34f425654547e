//! `/metrics`, `/healthz`, `/readyz`. Loopback by default; nothing here shows a token, a statement or a secret.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::telemetry::metrics::Metrics;

/// Whether the daemon does its work; shared with the tasks that know.
#[derive(Debug, Default)]
pub struct Health {
    /// The store is open, positions are found, sources run.
    pub ready: AtomicBool,
    /// A checkpoint was written lately, or there was nothing to write.
    pub alive: AtomicBool,
}

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    refresh: Arc<dyn Fn() + Send + Sync>,
}

/// Serves until `stop` completes. `refresh` is called before each scrape, to bring gauges up to date.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    refresh: Arc<dyn Fn() + Send + Sync>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Shared { metrics, health, refresh });
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

/// Binds the address of `[http] listen`.
///
/// # Errors
/// Says which address and what to change.
pub async fn bind(listen: SocketAddr) -> Result<tokio::net::TcpListener, String> {
    tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen} ([http] listen): {error}; choose a free address or stop what uses it"))
}

async fn scrape(State(shared): State<Shared>) -> impl IntoResponse {
    (shared.refresh)();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.metrics.render())
}

async fn healthz(State(shared): State<Shared>) -> impl IntoResponse {
    answer(shared.health.alive.load(Ordering::SeqCst), "alive", "no checkpoint could be written lately; see the log")
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    answer(shared.health.ready.load(Ordering::SeqCst), "ready", "starting or stopping")
}

fn answer(good: bool, yes: &'static str, no: &'static str) -> (StatusCode, String) {
    if good { (StatusCode::OK, format!("{yes}\n")) } else { (StatusCode::SERVICE_UNAVAILABLE, format!("{no}\n")) }
}
