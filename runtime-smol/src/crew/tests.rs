use super::*;

fn crew(threads: usize) -> (Vec<Crew>, Vec<Receiver<Mail>>) {
    Crew::muster(threads).into_iter().unzip()
}

#[test]
fn connections_go_where_there_are_fewest() {
    let (crews, _) = crew(3);
    let dealt = || {
        let (other, seat) = crews[0].deal();
        (other.map_or(0, |other| place(&crews, other)), seat)
    };
    let (places, mut seats): (Vec<_>, Vec<_>) = (0..6).map(|_| dealt()).unzip();
    assert_eq!(places, [0, 1, 2, 0, 1, 2]);
    drop(seats.remove(1));
    assert_eq!(dealt().0, 1, "where one has ended");
}

/// The place of the thread with this load.
fn place(crews: &[Crew], of: &Colleague) -> usize {
    crews.iter().position(|crew| Arc::ptr_eq(&crew.load, &of.load)).unwrap()
}

#[test]
fn a_worker_tells_the_first_thread_and_the_first_thread_nobody() {
    let (crews, mailboxes) = crew(3);
    assert!(!crews[0].tell_first());
    assert!(crews[2].tell_first());
    assert!(matches!(mailboxes[0].try_recv(), Ok(Mail::Minute)));
    assert!(mailboxes[1].is_empty() && mailboxes[2].is_empty());
}

#[test]
fn a_success_is_told_once_a_second() {
    let (crews, mailboxes) = crew(2);
    let at = |ms| Some(Instant::from_millis(ms));
    for success in [at(5_000), at(5_400), at(5_999), at(6_000), None] {
        crews[1].tell_success(success);
    }
    let told: Vec<_> = iter::from_fn(|| mailboxes[0].try_recv().ok()).collect();
    assert!(matches!(told[..], [Mail::Accepted(first), Mail::Accepted(second)]
        if (first.as_millis(), second.as_millis()) == (5_000, 6_000)));
}

#[test]
fn all_others_are_asked_and_all_answers_come() {
    let (crews, mailboxes) = crew(3);
    let answering: Vec<_> = mailboxes
        .into_iter()
        .zip([0, 10, 20])
        .skip(1)
        .map(|(mailbox, number)| {
            std::thread::spawn(move || {
                if let Ok(Mail::Open(answer)) = mailbox.recv_blocking() {
                    answer.send_blocking(Answer::Open(number)).unwrap();
                }
            })
        })
        .collect();
    let answers = smol::block_on(crews[0].ask(&Mail::Open));
    assert!(matches!(answers[..], [Answer::Open(10), Answer::Open(20)]), "{answers:?}");
    for thread in answering {
        thread.join().unwrap();
    }
}

#[test]
fn alone_there_is_nobody_to_ask() {
    let (crews, _) = crew(1);
    assert!(smol::block_on(crews[0].ask(&Mail::Open)).is_empty());
    assert!(crews[0].deal().0.is_none());
}
