//! What happens to the collectors.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::page::Line;
use super::rig::{RATE, Rig, Settings};
use crate::otlp::{MARK, Programs, Subject};

/// Something that goes wrong.
pub struct Scenario {
    pub title: &'static str,
    pub settings: Settings,
    /// Ours loses something too, which it counts.
    pub loses: bool,
    happens: fn(&mut Rig, u32),
}

const MEMORY: Settings = Settings { disk: false, batch: false, gives_up: false };
const DISK: Settings = Settings { disk: true, ..MEMORY };
const BATCHED: Settings = Settings { batch: true, ..MEMORY };

const BEYOND: &str = "sink down for longer than max_elapsed_time, 2 s here";

/// One request in so many is one that the sink never takes.
const POISON: u64 = 50;
/// Longer than the `max_elapsed_time` of the settings, and the last delay.
const BEYOND_RETRIES: Duration = Duration::from_secs(5);

pub const SCENARIOS: [Scenario; 9] = [
    Scenario::new("kill -9 at random moments under load", DISK, killed_under_load),
    Scenario::new("kill -9 while the sink is down", DISK, killed_while_down),
    Scenario::new("SIGTERM while the sink is down", DISK, terminated_while_down),
    Scenario::new(BEYOND, Settings { gives_up: true, ..DISK }, down_beyond_retries),
    Scenario { loses: true, ..Scenario::new("RESOURCE_EXHAUSTED without a delay, for 3 s", DISK, exhausted) },
    Scenario {
        loses: true,
        ..Scenario::new("kill -9, then a damaged page in the middle of the queue", DISK, damaged)
    },
    Scenario::new("SIGTERM under load, the sink takes half of it, 3 times", MEMORY, terminated_under_load),
    Scenario {
        loses: true,
        ..Scenario::new(BEYOND, Settings { gives_up: true, ..MEMORY }, down_beyond_retries)
    },
    Scenario::new("every 50th request is refused for its content, requests joined", BATCHED, poisoned),
];

impl Scenario {
    const fn new(title: &'static str, settings: Settings, happens: fn(&mut Rig, u32)) -> Self {
        Scenario { title, settings, loses: false, happens }
    }

    /// Whether storage syncs matters only where there is storage.
    pub fn subjects(&self) -> Vec<Subject> {
        match self.settings.disk {
            true => vec![Subject::Ours, Subject::Go, Subject::GoSync],
            false => vec![Subject::Ours, Subject::Go],
        }
    }

    pub fn run(&self, subject: Subject, programs: &Programs, kills: u32, dir: &Path) -> Line {
        let mut rig = Rig::start(subject, self.settings, programs, dir);
        (self.happens)(&mut rig, kills);
        let account = rig.settle();
        let Scenario { title, settings, loses, .. } = *self;
        Line { title, settings, loses, subject, stays_down: rig.stays_down, account }
    }
}

/// Where it does not start again, the rest of the rounds change nothing.
fn killed_under_load(rig: &mut Rig, kills: u32) {
    rig.send();
    for _ in 0..kills {
        if !rig.until_acked(RATE / 10) {
            break;
        }
        // The moment is what the scenario is about.
        std::thread::sleep(Duration::from_millis(u64::from(clock_noise() % 300)));
        rig.kill();
        rig.run();
    }
    rig.stop_load();
}

/// Two seconds of load into a sink that refuses.
fn fill(rig: &mut Rig) {
    rig.sink("down");
    rig.send();
    rig.until_acked(2 * RATE);
}

fn killed_while_down(rig: &mut Rig, _: u32) {
    fill(rig);
    rig.kill();
    rig.stop_load();
    rig.run();
    rig.sink("ok");
}

fn terminated_while_down(rig: &mut Rig, _: u32) {
    fill(rig);
    rig.terminate();
    rig.stop_load();
    rig.run();
    rig.sink("ok");
}

fn down_beyond_retries(rig: &mut Rig, _: u32) {
    fill(rig);
    // The time is what the scenario is about.
    std::thread::sleep(BEYOND_RETRIES);
    rig.stop_load();
    rig.sink("ok");
}

fn exhausted(rig: &mut Rig, _: u32) {
    rig.send();
    rig.until_acked(RATE);
    rig.sink("exhausted");
    rig.until_acked(3 * RATE);
    rig.sink("ok");
    rig.until_acked(RATE);
    rig.stop_load();
}

/// A page that has a request in it, in the middle of all that are there.
fn damaged(rig: &mut Rig, _: u32) {
    fill(rig);
    rig.stop_load();
    rig.kill();
    let file = rig.data().into_iter().next().expect("the queue has a file");
    let bytes = std::fs::read(&file).expect("read the queue");
    let marks: Vec<usize> = memchr::memmem::find_iter(&bytes, &MARK).collect();
    let page = marks[marks.len() / 2] & !0xfff;
    let file = std::fs::File::options().write(true).open(file).expect("open the queue");
    file.write_all_at(&[0xa5; 4096], page as u64).expect("damage the queue");
    rig.run();
    rig.sink("ok");
}

fn terminated_under_load(rig: &mut Rig, _: u32) {
    rig.sink(&format!("slow {}", RATE / 2));
    rig.send();
    for _ in 0..3 {
        rig.until_acked(2 * RATE);
        rig.terminate();
        rig.run();
    }
    rig.stop_load();
    rig.sink("ok");
}

fn poisoned(rig: &mut Rig, _: u32) {
    rig.poison = Some(POISON);
    rig.sink(&format!("poison {POISON}"));
    rig.send();
    rig.until_acked(4 * RATE);
    rig.stop_load();
}

fn clock_noise() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_micros())
}
