//! A picture of what a rule does with versions, and when: a bar for each, from when it was set until it goes.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

/// A version in the picture.
pub(super) struct Bar<'t> {
    pub(super) name: &'t str,
    pub(super) since: DateTime<Utc>,
    pub(super) fate: Fate,
}

/// What becomes of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes in the next run.
    Goes,
    /// It goes after this time, unless it is set again.
    GoesAfter(DateTime<Utc>),
    /// It stays for now; what ends that is no time.
    Stays,
    /// The rule never removes it.
    Spared,
}

const WIDTH: i64 = 720;
/// Where the names end and time begins.
const LEFT: i64 = 150;
const ROW: i64 = 22;
const TOP: i64 = 26;
/// How many characters of a name are shown.
const NAME_CHARS: usize = 20;

/// The picture. There is a table beside it: whoever cannot see it misses nothing.
pub(super) fn picture(bars: &[Bar<'_>], now: DateTime<Utc>, offset: TimeDelta, now_word: &str) -> Markup {
    let scale = Scale::new(bars, now);
    let height = TOP + ROW * bars.len() as i64 + 8;
    let at_now = scale.x(now);
    let day = |at: DateTime<Utc>| (at + offset).format("%Y-%m-%d").to_string();
    html! {
        svg.timeline viewBox=(format!("0 0 {WIDTH} {height}")) aria-hidden="true" {
            text x=(LEFT) y="14" { (day(scale.from)) }
            text x=(at_now) y="14" text-anchor="middle" class="now" { (now_word) }
            @if scale.until > now { text x=(WIDTH) y="14" text-anchor="end" { (day(scale.until)) } }
            @for (row, bar) in bars.iter().enumerate() {
                @let y = TOP + ROW * row as i64;
                @let from = scale.x(bar.since);
                @let (until, class) = match bar.fate {
                    Fate::Goes => (at_now, "goes"),
                    Fate::GoesAfter(after) => (scale.x(after), "later"),
                    Fate::Stays => (at_now, "stays"),
                    Fate::Spared => (at_now, "spared"),
                };
                text x=(LEFT - 10) y=(y + 14) text-anchor="end" { (shortened(bar.name)) }
                rect class=(class) x=(from) y=(y + 4) width=((until - from).max(3)) height=(ROW - 8) rx="3" {
                    title { (bar.name) }
                }
                @if bar.fate == Fate::Goes {
                    path class="cross" d=(format!("m{} {}l8 8m0-8l-8 8", until + 5, y + 7)) {}
                }
            }
            line class="now" x1=(at_now) x2=(at_now) y1="18" y2=(height) {}
        }
    }
}

fn shortened(name: &str) -> String {
    match name.chars().count() > NAME_CHARS {
        true => name.chars().take(NAME_CHARS - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

/// Where a time stands in the picture.
struct Scale {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Scale {
    fn new(bars: &[Bar<'_>], now: DateTime<Utc>) -> Self {
        let ends = bars.iter().filter_map(|bar| match bar.fate {
            Fate::GoesAfter(after) => Some(after),
            _ => None,
        });
        Self {
            from: bars.iter().map(|bar| bar.since).min().unwrap_or(now).min(now - TimeDelta::hours(1)),
            until: ends.max().unwrap_or(now).max(now),
        }
    }

    fn x(&self, at: DateTime<Utc>) -> i64 {
        let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| i128::from((to - from).num_seconds());
        // A cross stands behind what ends now.
        let room = i128::from(WIDTH - LEFT - 20);
        let along = seconds(self.from, at.clamp(self.from, self.until)) * room;
        LEFT + i64::try_from(along / seconds(self.from, self.until).max(1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_in_their_order_and_within_the_picture() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let bar = |days, fate| Bar { name: "v", since: now - TimeDelta::days(days), fate };
        let bars =
            [bar(30, Fate::Goes), bar(3, Fate::GoesAfter(now + TimeDelta::days(4))), bar(-1, Fate::Stays)];
        let scale = Scale::new(&bars, now);
        let times = [bars[0].since, bars[1].since, now, now + TimeDelta::days(4)].map(|at| scale.x(at));
        assert!(times.is_sorted() && times[0] == LEFT && times[3] <= WIDTH, "{times:?}");
        // What is said to be set later than now stands nowhere else.
        assert!((LEFT..=WIDTH).contains(&scale.x(bars[2].since)));
        assert_eq!(Scale::new(&[], now).x(now), WIDTH - 20);
    }

    #[test]
    fn names_are_text_and_no_longer_than_their_room() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let name = "<script>".repeat(9);
        let bars = [Bar { name: &name, since: now, fate: Fate::Spared }];
        let picture = picture(&bars, now, TimeDelta::zero(), "now").into_string();
        assert!(!picture.contains("<script>"), "{picture}");
        assert_eq!(shortened(&name).chars().count(), NAME_CHARS);
    }
}
