//! What is printed: tables in Markdown, and what is to be said about them.

use std::io;
use std::time::Duration;

use swr_benches::servers::Kind;

use crate::Row;
use crate::cases::{Column, Round};

/// The registry and its peers.
pub(crate) fn beside(columns: &[Column<'_>], rows: &[Row]) -> io::Result<String> {
    let ours = columns.iter().position(|column| column.server.kind == Kind::Swr);
    let ratios = columns.iter().filter_map(|column| match column.server.kind {
        Kind::Swr => None,
        Kind::Nginx => Some("swr ÷ nginx".to_owned()),
        kind => Some(format!("{} ÷ swr", kind.name())),
    });
    let costs = rows.iter().map(|row| {
        let costs = row.costs();
        let ours = ours.and_then(|ours| costs[ours]);
        let ratios = columns.iter().zip(&costs).filter_map(|(column, cost)| match column.server.kind {
            Kind::Swr => None,
            Kind::Nginx => Some(ratio(ours, *cost)),
            _ => Some(ratio(*cost, ours)),
        });
        row.line([row.unit()], costs.iter().copied().chain(ratios))
    });
    let head = ["case", "the server's CPU time"].map(str::to_owned).into_iter();
    let mut text = table(head.chain(names(columns)).chain(ratios), costs);
    text += &rates(columns, rows);

    let times = rows.iter().filter(|row| row.case.is_timed).flat_map(|row| {
        columns.iter().zip(&row.measured).map(|(column, rounds)| {
            let of = |part| median(rounds, |round| round.quantile(part).as_secs_f64() * 1e6);
            let (half, most) = (of(0.5), of(0.99));
            row.line([column.name], [half, most, ratio(most, half)])
        })
    });
    let times: Vec<_> = times.collect();
    if !times.is_empty() {
        text.push('\n');
        text += &table(["case", "server", "p50, µs", "p99, µs", "p99 ÷ p50"].map(str::to_owned), times);
    }

    text.push('\n');
    for row in rows.iter().filter(|row| !row.limits.is_empty()) {
        text += &beside_its_limit(row, ours);
    }
    for column in columns {
        let (server, kind) = (column.server, column.server.kind);
        text +=
            &format!("{}: at most {} MiB resident; {}\n", column.name, server.peak_mib()?, kind.durability());
    }
    Ok(text + &warnings(columns, rows))
}

/// The registry by itself.
pub(crate) fn settings(columns: &[Column<'_>], rows: &[Row]) -> String {
    let head = ["swr alone", "its CPU time"].map(str::to_owned).into_iter();
    let costs = rows.iter().map(|row| row.line([row.unit()], row.costs()));
    table(head.chain(names(columns)), costs) + &rates(columns, rows) + &warnings(columns, rows)
}

fn names(columns: &[Column<'_>]) -> impl Iterator<Item = String> {
    columns.iter().map(|column| column.name.to_owned())
}

/// Operations in a second.
fn rates(columns: &[Column<'_>], rows: &[Row]) -> String {
    let rates = rows.iter().map(|row| {
        let rate = |round: &Round| round.times.len() as f64 / round.wall.as_secs_f64();
        row.line(["operations"], row.measured.iter().map(|rounds| median(rounds, rate)))
    });
    let head = ["case", "in a second"].map(str::to_owned).into_iter();
    format!("\n{}", table(head.chain(names(columns)), rates))
}

/// How far our large push is from hashing, writing and syncing alone.
fn beside_its_limit(row: &Row, ours: Option<usize>) -> String {
    let seconds =
        |times: Vec<Duration>| middle(times.iter().map(|time| row.case.cost(time.as_secs_f64())).collect());
    let cpu = seconds(row.limits.iter().map(|limit| limit.cpu).collect());
    let wall = seconds(row.limits.iter().map(|limit| limit.wall).collect());
    let our_cpu = ours.and_then(|ours| row.costs()[ours]);
    let our_wall =
        ours.and_then(|ours| seconds(row.measured[ours].iter().map(|round| round.quantile(0.5)).collect()));
    format!(
        "hashing, writing and syncing alone, for 10⁹ B: {} CPU s, {} s; swr's push takes {} CPU s, {} s: {} and {} times \
         that\n",
        figure(cpu),
        figure(wall),
        figure(our_cpu),
        figure(our_wall),
        figure(ratio(our_cpu, cpu)),
        figure(ratio(our_wall, wall)),
    )
}

/// Where the load costs more than the server, a rate says what the load can do.
fn warnings(columns: &[Column<'_>], rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        for ((column, rounds), cost) in columns.iter().zip(&row.measured).zip(row.costs()) {
            let load = median(rounds, |round| row.case.cost(round.each(round.load)));
            if let (Some(load), Some(cost)) = (load, cost)
                && load > cost
            {
                let (name, unit) = (row.case.name, row.unit());
                let (load, cost) = (figure(Some(load)), figure(Some(cost)));
                text += &format!("warning: {name}: the load costs {load} {unit}, {} {cost}\n", column.name);
            }
        }
    }
    text
}

impl Row {
    const fn unit(&self) -> &'static str {
        if self.case.bytes.is_some() { "s for 10⁹ B" } else { "µs" }
    }

    /// CPU time of each server.
    fn costs(&self) -> Vec<Option<f64>> {
        let cost = |round: &Round| self.case.cost(round.each(round.server));
        self.measured.iter().map(|rounds| median(rounds, cost)).collect()
    }

    fn line(&self, what: [&str; 1], figures: impl IntoIterator<Item = Option<f64>>) -> Vec<String> {
        let what = [self.case.name].into_iter().chain(what).map(str::to_owned);
        what.chain(figures.into_iter().map(figure)).collect()
    }
}

/// The first two columns are words.
fn table(head: impl IntoIterator<Item = String>, lines: impl IntoIterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.into_iter().collect();
    let mut text = format!("| {} |\n| --- | --- |{}\n", head.join(" | "), " ---: |".repeat(head.len() - 2));
    for line in lines {
        text += &format!("| {} |\n", line.join(" | "));
    }
    text
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to?)
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> Option<f64> {
    middle(rounds.iter().map(of).collect())
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Three digits that mean something; a dash for what was not measured.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}
