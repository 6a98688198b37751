//! The trail on pages.

use chrono::TimeDelta;
use serde_json::Value;
use swr_core::caller::Channel;
use swr_core::control::trace::{Trace, TraceQuery};

use super::house::{House, Person};

async fn trail(house: &House, person: &Person) -> Vec<Trace> {
    while house.refusals.record().await.unwrap() > 0 {}
    let query = TraceQuery::of(person.account.id.clone(), std::num::NonZeroU32::new(99).unwrap());
    house.access(person).traces(&query).await.unwrap()
}

#[tokio::test]
async fn what_is_done_and_refused_on_pages_is_told_as_such() {
    let house = House::new().await;
    let (ada, bob) = (house.signed_in(&house.ada).await, house.signed_in(&house.bob).await);
    let list = "/console/organisations";
    ada.submit(list, list, "name=lib").await;
    ada.submit(list, list, "name=lib").await.is(409);
    bob.submit("/console", list, "name=other").await.is(403);
    bob.submit("/console", "/console/organisations/lib/delete", "word=DELETE").await.is(404);
    let traces = trail(&house, &house.ada).await;
    let told: Vec<_> = traces
        .iter()
        .filter(|trace| trace.origin.channel == Channel::Console)
        .map(|trace| {
            let (_, user) = trace.user.as_ref().unwrap();
            (
                trace.traced.operation.trace_name(),
                &*trace.traced.resource_name,
                trace.outcome.code,
                user.as_str(),
            )
        })
        .collect();
    let expected = [
        ("deleteUserNamespace", "lib", 404, "bob"),
        ("createUserNamespace", "other", 403, "bob"),
        ("createUserNamespace", "lib", 409, "ada"),
        ("createUserNamespaceAuth", "lib", 200, "ada"),
        ("createUserNamespace", "lib", 201, "ada"),
    ];
    assert_eq!(told, expected);
    let call = traces[0].origin.call.as_deref();
    assert_eq!(call, Some("POST /console/organisations/lib/delete"));
    assert!(traces[0].origin.request_id.is_some());
}

#[tokio::test]
async fn the_trail_is_filtered_and_each_event_opens() {
    let house = House::new().await;
    let ada = house.signed_in(&house.ada).await;
    let list = "/console/organisations";
    for name in ["one", "two"] {
        ada.submit(list, list, &format!("name={name}")).await;
    }
    ada.submit(list, list, "name=one").await;
    let traces = trail(&house, &house.ada).await;
    let shown = async |query: &str| {
        let page = ada.get(&format!("/console/audit?{query}")).await.is(200).text;
        traces.iter().filter(|trace| page.contains(&format!("/console/audit/{}", trace.id.as_str()))).count()
    };
    assert_eq!(shown("").await, traces.len());
    assert_eq!(shown("name=createUserNamespace").await, 3);
    assert_eq!(shown("name=createUserNamespace&resource=one").await, 2);
    assert_eq!(shown("rating=warning").await, 1);
    assert_eq!(shown("rating=incident").await, 0);
    assert_eq!(shown("type=usernamespaceauth").await, 2);
    assert_eq!(shown("id=two&type=usernamespace").await, 1);
    assert_eq!(shown("user=ada").await, 5);
    assert_eq!(shown("user=bob").await, 0);
    assert_eq!(shown("name=nonsense&rating=nonsense&period=nonsense").await, traces.len());
    house.clock.advance(TimeDelta::minutes(30));
    assert_eq!(shown("period=hour&user=ada").await, 5);
    let (from, until) = (traces[0].at - TimeDelta::minutes(1), traces[0].at + TimeDelta::minutes(1));
    let between = |from: chrono::DateTime<chrono::Utc>, until: chrono::DateTime<chrono::Utc>| {
        let format = "%Y-%m-%dT%H:%M";
        format!("user=ada&period=between&from={}&until={}", from.format(format), until.format(format))
    };
    assert_eq!(shown(&between(from, until)).await, 5);
    assert_eq!(shown(&between(until, until)).await, 0);
    for query in
        [between(until, from), "period=between".to_owned(), "period=between&from=x&until=y".to_owned()]
    {
        ada.get(&format!("/console/audit?{query}")).await.is(400).says("The period is none");
    }

    let address = format!("/console/audit/{}", traces[0].id.as_str());
    let page = ada.get(&address).await.is(200);
    let (_, event) = page.text.split_once("id=\"event\">").unwrap();
    let event = event.split("</code>").next().unwrap().replace("&quot;", "\"");
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["trace_type"], "ConsoleAction");
    assert_eq!(event["trace_name"], "createUserNamespace");
    assert_eq!(event["code"], "409");
    // Of others' events there are none.
    house.signed_in(&house.eve).await.get(&address).await.is(404);
    house.signed_in(&house.bob).await.get(&address).await.is(404);
    ada.get("/console/audit/none").await.is(404);
}

#[tokio::test]
async fn the_trail_comes_page_by_page() {
    let house = House::new().await;
    let bob = house.signed_in(&house.bob).await;
    for _ in 0..60 {
        bob.submit("/console", "/console/login", "").await.is(200);
    }
    let count = |text: &str| text.matches("<summary>createDockerConfig</summary>").count();
    let first = bob.get("/console/audit").await.is(200).text;
    assert_eq!(count(&first), 50);
    let (_, next) = first.split_once("href=\"/console/audit?before=").unwrap();
    let next = format!("/console/audit?before={}", next.split('"').next().unwrap());
    let second = bob.get(&next).await.is(200).lacks("rel=\"next\"").text;
    assert_eq!(count(&second), 10);
}
