//! `/metrics` in the OpenMetrics text format, made from the registries of what is counted.
//!
//! Every scrape asks for each shard's published values and writes them by the registries' names, so a counter that is
//! added there is here too. Counts nothing itself.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tidewire_core::count::{Counter, Discard};
use tidewire_core::id::ShardId;

/// What every shard published last: its machine's tally in the order of the registries.
pub(crate) type Counts = Vec<(ShardId, Vec<u64>)>;

/// The route; `counts` is asked at every scrape and must not block.
pub(crate) fn routes(counts: impl Fn() -> Counts + Send + Sync + 'static) -> Router {
    let mut registry = Registry::with_prefix("tidewire");
    registry.register_collector(Box::new(Shards(Box::new(counts))));
    Router::new().route("/metrics", get(scrape)).with_state(Arc::new(registry))
}

async fn scrape(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut page = String::new();
    let status = match text::encode(&mut page, &registry) {
        Ok(()) => StatusCode::OK,
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], page)
}

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Shards(Box<dyn Fn() -> Counts + Send + Sync>);

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shards(..)")
    }
}

impl Collector for Shards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = (self.0)();
        for (column, counter) in Counter::ALL.iter().enumerate() {
            let mut family =
                encoder.encode_descriptor(counter.name(), counter.help().trim(), None, MetricType::Counter)?;
            for (shard, values) in &counts {
                one(&mut family, &[("shard", shard.0.to_string())], values.get(column))?;
            }
        }
        let mut family = encoder.encode_descriptor("discards", DISCARDS_HELP, None, MetricType::Counter)?;
        for (shard, values) in &counts {
            for (column, reason) in Discard::ALL.iter().enumerate() {
                let labels = [("shard", shard.0.to_string()), ("reason", reason.name().to_owned())];
                one(&mut family, &labels, values.get(Counter::ALL.len() + column))?;
            }
        }
        Ok(())
    }
}

fn one(
    family: &mut prometheus_client::encoding::MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: Option<&u64>,
) -> fmt::Result {
    let value = value.copied().unwrap_or_default();
    family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

const DISCARDS_HELP: &str = "Datagrams and packets that went no further, by reason.";

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tidewire_core::count::Tally;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn every_counter_and_every_discard_is_told_per_shard() {
        let mut tally = Tally::default();
        tally.add(Counter::Forwarded, 7);
        tally.discard(Discard::StunBadIntegrity);
        let values: Vec<u64> = tally.values().collect();
        let page = page(move || vec![(ShardId(0), values.clone()), (ShardId(1), vec![])]).await;
        for counter in Counter::ALL {
            assert!(page.contains(&format!("\ntidewire_{}_total{{shard=\"1\"}} 0\n", counter.name())), "{page}");
        }
        for reason in Discard::ALL {
            let labels = format!("shard=\"1\",reason=\"{}\"", reason.name());
            assert!(page.contains(&format!("\ntidewire_discards_total{{{labels}}} 0\n")), "{page}");
        }
        assert!(page.contains("\ntidewire_rtp_forwarded_total{shard=\"0\"} 7\n"));
        assert!(page.contains("\ntidewire_discards_total{shard=\"0\",reason=\"stun_bad_integrity\"} 1\n"));
        assert!(page.ends_with("# EOF\n"));
    }

    async fn page(counts: impl Fn() -> Counts + Send + Sync + 'static) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = routes(counts).oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }
}
