//! `/metrics` in the OpenMetrics text format, made from the registries of what is counted.
//!
//! Every scrape asks for the published values of shards and handshake threads and writes them by the registries' names, so a counter that is
//! added there is here too; of a gateway it asks what it knows of its media servers. Counts nothing itself.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tidewire_core::count::{Counter, Discard};
use tidewire_core::id::ShardId;
use tidewire_gateway::{Exchange, Gateway};
use tidewire_net::count::{IoCounter, ShardGauge};

/// What everybody who counts published last.
pub(crate) type Counts = Vec<(Owner, Vec<u64>)>;

/// Who counted, and so in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// As `ShardHandle::counters` has it: the machine's tally, the packet I/O's, then the gauges.
    Shard(ShardId),
    /// The handshake threads together: a tally alone, of which they use a few places.
    Handshakes,
}

/// The route; each collector is asked at every scrape and must not block.
pub(crate) fn routes(collectors: impl IntoIterator<Item = Box<dyn Collector>>) -> Router {
    let mut registry = Registry::with_prefix("tidewire");
    collectors.into_iter().for_each(|collector| registry.register_collector(collector));
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

/// What shards and handshake threads count.
pub(crate) fn of_media(counts: impl Fn() -> Counts + Send + Sync + 'static) -> Box<dyn Collector> {
    Box::new(Published(Box::new(counts)))
}

/// What a gateway knows of its media servers.
pub(crate) fn of_fleet(exchange: Exchange) -> Box<dyn Collector> {
    Box::new(Fleet(exchange))
}

/// What a gateway knows of its clients.
pub(crate) fn of_hall(gateway: Gateway) -> Box<dyn Collector> {
    Box::new(Hall(gateway))
}

struct Hall(Gateway);

impl fmt::Debug for Hall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hall(..)")
    }
}

impl Collector for Hall {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures = self.0.figures();
        for (name, help, value) in figures.present() {
            gauge(&mut encoder, name, help, value)?;
        }
        for (name, help, value) in figures.counted() {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Fleet(Exchange);

impl Collector for Fleet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in self.0.overview().named() {
            gauge(&mut encoder, name, help, value)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)
}

struct Published(Box<dyn Fn() -> Counts + Send + Sync>);

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Published(..)")
    }
}

impl Collector for Published {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = (self.0)();
        let machine = Counter::ALL.iter().map(|counter| (counter.name(), counter.help()));
        for (column, (name, help)) in machine.enumerate() {
            family(&mut encoder, name, help, &counts, &[(column, None)])?;
        }
        let reasons: Vec<_> =
            (Counter::ALL.len()..).zip(Discard::ALL.iter().map(|reason| Some(reason.name()))).collect();
        family(&mut encoder, "discards", DISCARDS_HELP, &counts, &reasons)?;
        let io = IoCounter::ALL.iter().map(|counter| (counter.name(), counter.help()));
        for (column, (name, help)) in (Counter::ALL.len() + Discard::ALL.len()..).zip(io) {
            family(&mut encoder, name, help, &counts, &[(column, None)])?;
        }
        let of_tallies = Counter::ALL.len() + Discard::ALL.len() + IoCounter::ALL.len();
        for (column, gauge) in (of_tallies..).zip(ShardGauge::ALL) {
            measure(&mut encoder, *gauge, &counts, column)?;
        }
        Ok(())
    }
}

/// Writes one metric: a line for each owner and each of `columns`, which have their place in the values and a reason.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counts: &Counts,
    columns: &[(usize, Option<&str>)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help.trim(), None, MetricType::Counter)?;
    for (owner, values) in counts {
        for (column, reason) in columns {
            let value = values.get(*column).copied().unwrap_or_default();
            let (key, owner) = match owner {
                Owner::Shard(shard) => ("shard", shard.0.to_string()),
                // Most places are not theirs, and would be noise.
                Owner::Handshakes if value == 0 => continue,
                Owner::Handshakes => ("threads", "handshake".to_owned()),
            };
            let labels: Vec<_> =
                [(key, owner.as_str())].into_iter().chain(reason.map(|reason| ("reason", reason))).collect();
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
    }
    Ok(())
}

/// Writes one gauge: a line for each shard. Handshake threads have none.
fn measure(encoder: &mut DescriptorEncoder<'_>, gauge: ShardGauge, counts: &Counts, column: usize) -> fmt::Result {
    let mut family = encoder.encode_descriptor(gauge.name(), gauge.help().trim(), None, MetricType::Gauge)?;
    for (owner, values) in counts {
        if let Owner::Shard(shard) = owner {
            let value = values.get(column).copied().unwrap_or_default();
            family.encode_family(&[("shard", shard.0.to_string())])?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

const DISCARDS_HELP: &str = "Datagrams and packets that went no further, by reason.";

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tidewire_core::count::Tally;
    use tidewire_net::count::IoTally;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn every_counter_and_every_discard_is_told_per_shard() {
        let mut tally = Tally::default();
        tally.add(Counter::Forwarded, 7);
        tally.discard(Discard::StunBadIntegrity);
        let mut io = IoTally::default();
        io.count(IoCounter::Sleeps);
        let values: Vec<u64> = tally.values().chain(io.values()).chain([25_000_000, 7]).collect();
        let shards = [(Owner::Shard(ShardId(0)), values), (Owner::Shard(ShardId(1)), vec![])];
        let page = page(move || shards.to_vec()).await;
        for counter in Counter::ALL {
            assert!(page.contains(&format!("\ntidewire_{}_total{{shard=\"1\"}} 0\n", counter.name())), "{page}");
        }
        for reason in Discard::ALL {
            let labels = format!("shard=\"1\",reason=\"{}\"", reason.name());
            assert!(page.contains(&format!("\ntidewire_discards_total{{{labels}}} 0\n")), "{page}");
        }
        for counter in IoCounter::ALL {
            assert!(page.contains(&format!("\ntidewire_{}_total{{shard=\"1\"}} 0\n", counter.name())), "{page}");
        }
        assert!(page.contains("\n# TYPE tidewire_turn_nanoseconds_max gauge\n"), "{page}");
        assert!(page.contains("\ntidewire_turn_nanoseconds_max{shard=\"0\"} 25000000\n"), "{page}");
        assert!(page.contains("\ntidewire_sleep_overshoot_nanoseconds_max{shard=\"0\"} 7\n"), "{page}");
        assert!(page.contains("\ntidewire_shard_sleeps_total{shard=\"0\"} 1\n"));
        assert!(page.contains("\ntidewire_rtp_forwarded_total{shard=\"0\"} 7\n"));
        assert!(page.contains("\ntidewire_discards_total{shard=\"0\",reason=\"stun_bad_integrity\"} 1\n"));
        assert!(page.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn handshake_threads_tell_only_what_they_counted() {
        let mut tally = Tally::default();
        tally.count(Counter::HandshakesCompleted);
        let values: Vec<u64> = tally.values().collect();
        let page = page(move || vec![(Owner::Handshakes, values.clone())]).await;
        let told: Vec<_> = page.lines().filter(|line| line.contains("handshake\"")).collect();
        assert_eq!(told, ["tidewire_handshakes_completed_total{threads=\"handshake\"} 1"]);
    }

    async fn page(counts: impl Fn() -> Counts + Send + Sync + 'static) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = routes([of_media(counts)]).oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }
}
