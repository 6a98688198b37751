//! What an account used, day by day and month by month.

use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};
use swr_core::caller::Task;

use crate::house::{CONFIG, House, LAYER};

async fn report(house: &House, of: &str) -> Vec<(String, u64)> {
    let report = house.ada(Method::GET, &format!("/v2/manage/reports/{of}"), "").await.is(200).json();
    let entry = |it: &Value| (it["date"].as_str().unwrap().to_owned(), it["value"].as_u64().unwrap());
    report.as_array().unwrap().iter().map(entry).collect()
}

async fn pull(house: &House, times: usize) {
    for _ in 0..times {
        house.content(&house.ada, Method::GET, "/v2/group/app/manifests/v1", "", b"").await.is(200);
    }
    house.plane.registry().caretaker(Task::Administration).flush_pulls().await.unwrap();
}

#[tokio::test]
async fn a_report_has_every_day_and_every_month_what_was_pulled_and_what_was_kept() {
    let house = House::furnished().await;
    let size = (CONFIG.len() + LAYER.len()) as u64;
    pull(&house, 2).await;
    house.plane.note_usage().await.unwrap();
    let stored = house.ada(Method::GET, "/v2/manage/repos", "").await.json()[0]["size"].as_u64().unwrap();
    house.clock.advance(TimeDelta::days(3));
    pull(&house, 3).await;
    house.clock.advance(TimeDelta::days(29));
    pull(&house, 1).await;
    house.ada(Method::DELETE, "/v2/manage/namespaces/group/repos/app", "").await.is(204);
    house.plane.note_usage().await.unwrap();

    let day = |date: &str, value: u64| (date.to_owned(), value);
    let pulled = report(&house, "downflow/daily").await;
    assert_eq!(pulled.len(), 30);
    let some: Vec<_> = pulled.into_iter().filter(|(_, value)| *value > 0).collect();
    assert_eq!(some, [day("2026-01-04", 3 * size), day("2026-02-02", size)]);
    let months = report(&house, "downflow/monthly").await;
    assert_eq!(months.len(), 12);
    assert_eq!(months[0], day("2025-03-01", 0));
    assert_eq!(months[10..], [day("2026-01-01", 5 * size), day("2026-02-01", size)]);
    // What is kept stays until something else was noted.
    let kept = report(&house, "store/monthly").await;
    assert_eq!(kept[9..], [day("2025-12-01", 0), day("2026-01-01", stored), day("2026-02-01", 0)]);

    let theirs = house.eve(Method::GET, "/v2/manage/reports/downflow/monthly", "").await.json();
    assert!(theirs.as_array().unwrap().iter().all(|it| it["value"] == 0));
    for bad in ["upflow/daily", "store/yearly"] {
        house.ada(Method::GET, &format!("/v2/manage/reports/{bad}"), "").await.is(400);
    }
}

#[tokio::test]
async fn an_account_lets_the_service_act_for_it_once() {
    let house = House::new().await;
    let is_agency =
        async || house.ada(Method::GET, "/v2/manage/agency", "").await.is(200).json()["is_agency"].clone();
    assert_eq!(is_agency().await, json!(false));
    house.bob(Method::POST, "/v2/manage/agency", "").await.is(403);
    assert_eq!(is_agency().await, json!(false));
    house.ada(Method::POST, "/v2/manage/agency", "").await.is(204);
    assert_eq!(is_agency().await, json!(true));
    assert_eq!(house.ada(Method::POST, "/v2/manage/agency", "").await.is(409).number(), "4090000");
    let theirs = house.eve(Method::GET, "/v2/manage/agency", "").await.json();
    assert_eq!(theirs["is_agency"], false);
}
