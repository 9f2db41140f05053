//! Exchanges made by hand, for the tests of the rooms above.
#![allow(clippy::unwrap_used)]

use super::*;

/// A request as if it had come from 127.0.0.1:51000 to 127.0.0.1:8000: head lines without the last empty one.
pub(crate) fn exchange(head: &str) -> Exchange {
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = HeaderList::default();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.add(name.as_bytes(), value.trim().as_bytes());
    }
    let x = unsent::exchange(unsent::request(method, target, headers));
    x.connection.requests.set(1);
    x
}
