//! ONLYOFFICE portals of all generations. Older ones count what comes; newer ones have numbers for chunks, and versions.

use uploadfs::portal::faults::{Fault, Injection, Rule};
use uploadfs::portal::onlyoffice::{Account, Generation, OnlyofficeConfig as PortalSettings, PASSWORD};
use uploadfs::service::Progress;
use uploadfs::service::onlyoffice::{Onlyoffice, OnlyofficeConfig};

use super::cases::{self, *};
use super::journal::{Digest, File, Writer, resume};
use super::*;
use crate::support::clock::turned;
use crate::support::office::{CHUNK, GENERATIONS, Office};
use crate::support::upload::{any, content, settled, text};

/// Another user.
const OTHER: &str = "other@portal.test";
/// The size of a file of one chunk, in bytes.
const SMALL: u64 = 700;

impl Office {
    /// Whether chunks have numbers; files have versions then.
    fn has_numbers(&self) -> bool {
        matches!(self.generation, Generation::G2 | Generation::G3)
    }

    async fn connected(&self, line: &Line, user: &str) -> Arc<dyn Service> {
        let config = OnlyofficeConfig { url: line.url(), user: user.to_owned(), ..self.config("@my") };
        let client = Onlyoffice::new(config).unwrap();
        client.connect().await.unwrap();
        Arc::new(client)
    }
}

impl Place for Office {
    fn portal(&self) -> &Portal {
        &self.portal
    }

    async fn process(&self, line: &Line) -> Arc<dyn Service> {
        self.connected(line, &self.config("@my").user).await
    }

    async fn stranger(&self, line: &Line) -> Arc<dyn Service> {
        self.connected(line, OTHER).await
    }

    fn versions(&self) -> usize {
        if self.has_numbers() { 2 } else { 1 }
    }

    fn last_request(&self) -> &'static str {
        "chunk"
    }
}

impl Parts for Office {
    const PART: u64 = CHUNK;

    fn counts(&self) -> bool {
        !self.has_numbers()
    }

    fn last_of_parts(&self) -> &'static str {
        if self.has_numbers() { "finalize" } else { "chunk" }
    }

    fn expire(&self) {
        if self.has_numbers() {
            self.portal.advance(Duration::from_secs(13 * 3600));
        } else {
            // They stay until the portal is started anew.
            self.portal.add_fault(Rule::once("chunk", Fault::Inject { what: Injection::LostSession }));
        }
    }
}

/// A portal with small chunks and two users.
fn office(generation: Generation) -> Office {
    let mut config = PortalSettings::new(generation);
    config.accounts.push(Account::new(OTHER, PASSWORD));
    config.settings.chunk_bytes = CHUNK;
    config.settings.operation_ms = 1;
    Office::of(config)
}

/// Two saves of one second look alike where they make no version: by their content they do not.
#[test]
fn a_save_in_the_second_of_the_one_before_is_seen() {
    for generation in [Generation::G0, Generation::G1] {
        for digest in Digest::ALL {
            let office = office(generation);
            // So that both fall into one second, whatever the machine does meanwhile.
            let replaces = turned(&office.portal, async |line| {
                let client = office.process(line).await;
                let old = any(&*client, &path(), &office.text(2)).await.unwrap();
                let file = File { path: path(), bytes: office.text(1), replaces: Some(old.clone()) };
                let mut writer = Writer::begin(&*client, &file, digest, None).await.unwrap();
                writer.put_all_but(0).await.unwrap();
                writer.finish().await.unwrap();
                let journal = writer.end();
                let new = client.stat(&path()).await.unwrap();
                let resumed = resume(&*office.process(line).await, &file, &journal, None).await;
                if digest == Digest::Known || new.version != old.version {
                    resumed.assert_finished();
                } else {
                    resumed.assert_begun_again(&file);
                }
                assert_once(&office, &file.bytes, Before::SameSize);
                old
            });
            assert_eq!(replaces.size, Office::LARGE);
            assert_eq!(office.portal.violations(), []);
        }
    }
}

/// What is left of a session whose end has failed on the portal cannot be ended again.
#[test]
fn a_session_whose_end_has_failed_is_begun_again() {
    for generation in [Generation::G2, Generation::G3] {
        each(
            || office(generation),
            async |office, line, before, digest| {
                let file = file(office, line, Office::LARGE, before).await;
                let first = office.process(line).await;
                let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
                writer.put_all_but(0).await.unwrap();
                office.portal.add_fault(Rule::once("finalize", Fault::Inject { what: Injection::Quota }));
                writer.finish().await.unwrap_err();
                let journal = writer.end();
                drop(first);
                let resumed = resume(&*office.process(line).await, &file, &journal, None).await;
                assert!(matches!(resumed.told, Progress::Holds(_)), "{:?}", resumed.told);
                assert_eq!(resumed.sent_bytes, Office::LARGE);
                assert_content(office, line, &file.bytes).await;
                assert_eq!(files(office).len(), 1);
            },
        );
    }
}

/// A file that is on its way to its title is found under the one it has meanwhile.
#[test]
fn a_file_that_has_not_got_its_title_yet_gets_it() {
    for generation in [Generation::G0, Generation::G1] {
        for is_whole in [true, false] {
            let office = office(generation);
            turned(&office.portal, async |line| {
                let client = office.process(line).await;
                // Portals take this for the same title, and may replace what they take for that.
                let alike = uploadfs::path::RemotePath::parse("A.bin").unwrap();
                any(&*client, &alike, &text(10, 9)).await.unwrap();
                let size = if is_whole { SMALL } else { Office::LARGE };
                let file = file(&office, line, size, Before::Nothing).await;
                block(&office, "rename");
                let journal = if is_whole {
                    let (told, journal) = send_whole(&office, line, &file, Digest::Known).await;
                    assert_doubt(told);
                    journal
                } else {
                    let mut writer = Writer::begin(&*client, &file, Digest::Unknown, None).await.unwrap();
                    writer.put_all_but(0).await.unwrap();
                    assert_doubt(writer.finish().await);
                    writer.end()
                };
                drop(client);
                office.portal.clear_faults();
                resume(&*office.process(line).await, &file, &journal, None).await.assert_finished();
                assert_content(&office, line, &file.bytes).await;
                let mut titles: Vec<String> = files(&office).into_iter().map(|file| file.path).collect();
                titles.sort();
                assert_eq!(titles, ["/My documents/A.bin", "/My documents/a.bin"]);
            });
            assert_eq!(office.portal.violations(), []);
        }
    }
}

/// What a session was to replace, or the folder it was to make a file in, may be in the trash by now.
#[test]
fn a_session_for_what_is_gone_is_begun_again() {
    for generation in GENERATIONS {
        for left in [3, 1] {
            each(
                || office(generation),
                async |office, line, before, digest| {
                    let first = office.process(line).await;
                    let directory = uploadfs::path::RemotePath::parse("d").unwrap();
                    let node = first.mkdir(&directory).await.unwrap();
                    let at = directory.join("a.bin");
                    let replaces = match before {
                        Before::Nothing => None,
                        Before::SameSize => Some(any(&*first, &at, &office.text(2)).await.unwrap()),
                    };
                    let file = File { path: at.clone(), bytes: office.text(1), replaces: replaces.clone() };
                    let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
                    writer.put_all_but(left).await.unwrap();
                    let journal = writer.end();
                    if let Some(old) = replaces {
                        first.remove(&at, &old).await.unwrap();
                    }
                    first.remove(&directory, &node).await.unwrap();
                    first.mkdir(&directory).await.unwrap();
                    drop(first);
                    let second = office.process(line).await;
                    resume(&*second, &file, &journal, None).await.assert_begun_again(&file);
                    assert_eq!(content(&*second, &at).await.unwrap(), file.bytes);
                    assert_no_session(office);
                },
            );
        }
    }
}

/// Where nothing can be removed, what is given up leaves a byte for each chunk, as it does in one process.
#[test]
fn a_session_that_was_taken_over_is_given_up_like_any_other() {
    for generation in GENERATIONS {
        let office = office(generation);
        turned(&office.portal, async |line| {
            let file = file(&office, line, Office::LARGE, Before::Nothing).await;
            let first = office.process(line).await;
            let mut writer = Writer::begin(&*first, &file, Digest::Unknown, None).await.unwrap();
            writer.put_all_but(2).await.unwrap();
            let journal = writer.end();
            drop(first);
            let second = office.process(line).await;
            let progress = settled(&*second, &journal.spec, journal.session()).await;
            assert!(matches!(progress, Progress::Holds(_)), "{progress:?}");
            second.abort(journal.token.as_ref().unwrap()).await.unwrap();
            let leaked = if office.has_numbers() { 4 } else { 0 };
            assert_eq!((office.state().leaked_bytes, files(&office)), (leaked, vec![]), "{generation:?}");
            // Nobody goes on with it.
            let progress = settled(&*office.process(line).await, &journal.spec, journal.session()).await;
            assert_eq!(matches!(progress, Progress::Gone), !office.has_numbers(), "{progress:?}");
        });
        assert_eq!(office.portal.violations(), []);
    }
}

macro_rules! on_each_generation {
    ($($name:ident => $generation:expr;)*) => {
        $(
            mod $name {
                use super::*;

                #[test]
                fn a_session_is_gone_on_with_wherever_it_was_left() {
                    cases::a_session_is_gone_on_with_wherever_it_was_left(|| office($generation));
                }

                #[test]
                fn a_receipt_that_was_not_written_down_costs_one_part() {
                    cases::a_receipt_that_was_not_written_down_costs_one_part(|| office($generation));
                }

                #[test]
                fn a_file_that_was_made_is_there() {
                    cases::a_file_that_was_made_is_there(|| office($generation));
                }

                #[test]
                fn a_file_that_was_only_going_to_be_made_is_made() {
                    cases::a_file_that_was_only_going_to_be_made_is_made(|| office($generation));
                }

                #[test]
                fn a_session_that_has_expired_is_begun_again() {
                    cases::a_session_that_has_expired_is_begun_again(|| office($generation));
                }

                #[test]
                fn as_many_bytes_of_the_same_account_are_another_file() {
                    cases::as_many_bytes_of_the_same_account_are_another_file(|| office($generation));
                }

                #[test]
                fn a_file_of_one_request_is_there_if_it_was_made() {
                    cases::a_file_of_one_request_is_there_if_it_was_made(|| office($generation), SMALL);
                }

                #[test]
                fn a_file_of_one_request_that_was_not_sent_is_sent() {
                    cases::a_file_of_one_request_that_was_not_sent_is_sent(|| office($generation), SMALL);
                }

                #[test]
                fn asking_changes_nothing() {
                    cases::asking_changes_nothing(|| office($generation));
                }
            }
        )*
    };
}

on_each_generation! {
    community => Generation::G0;
    docspace_1 => Generation::G1;
    docspace_2 => Generation::G2;
    docspace_3 => Generation::G3;
}
