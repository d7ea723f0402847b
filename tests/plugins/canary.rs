//! Two versions of a plugin share the traffic of a route.

use super::{fixture, version};
use crate::support::aurora;

#[tokio::test]
async fn a_route_splits_its_requests_by_weight() {
    let config = "[[routes]]\npath = \"/fixture/{*mode}\"\nplugin = [{ name = \"fixture\", weight = 3 }, \
                  { name = \"fixture-next\", weight = 1 }]\n[plugins.fixture-next]\nfile = \"next.so\"\n";
    let builder = aurora(config)
        .file("plugins/libfixture.so", fixture(1))
        .file("plugins/next.so", fixture(2));
    let aurora = builder.start().await;

    let mut counts = [0, 0];
    for _ in 0..400 {
        let text = aurora
            .get("/fixture/version")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        counts[usize::from(text.contains(&version(2)))] += 1;
    }

    // 100 expected; six standard deviations of a fair draw are 52.
    assert!((48..=152).contains(&counts[1]), "{counts:?}");
}
