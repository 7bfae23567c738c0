//! Deleting what was acknowledged, as far as servers can.

use streamgauge_harness::Server;

use super::rig::*;

#[tokio::test]
async fn acknowledged_entries_are_deleted_once_nobody_else_wants_them() {
    for server in Server::matrix() {
        let redis = server.start();
        redis.fill("s", 10);
        let rig = Rig::start(&redis, "ack: {delete: true}").await;
        rig.arrived(10).await;
        rig.until("they are deleted", |_| redis.run::<i64>("XLEN s") == 0).await;
        rig.until("that is counted", |rig| rig.count("acknowledged") == 10).await;
        assert_eq!(pending(&redis, "s"), 0, "{}", server.name);
        rig.stop().await;

        // Another group has not read them.
        redis.fill("t", 10);
        let _: () = redis.run("XGROUP CREATE t other 0");
        let rig = Rig::start(&redis, "streams: [t], ack: {delete: true}").await;
        rig.arrived(10).await;
        rig.until("they are acknowledged", |rig| rig.count("acknowledged") == 10).await;
        assert_eq!(redis.run::<i64>("XLEN t"), 10, "{}", server.name);
        rig.stop().await;
    }
}
