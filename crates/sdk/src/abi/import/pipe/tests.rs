use super::*;

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn pieces_come_out_in_the_order_written() {
    let (pipe, cx) = (Pipe::default(), cx());
    let write = |text: &str| assert!(pipe.poll_copy(text.as_bytes(), &cx).is_ready());
    write("a");
    write("b");
    assert!(pipe.poll_move(|| Bytes::from_static(b"c"), &cx).is_ready());
    write("d");

    let read = std::iter::from_fn(|| pipe.pop()).collect::<Vec<_>>();

    assert_eq!(read, ["a", "b", "c", "d"]);
    write("e");
    pipe.put_first(Bytes::from_static(b"before"));
    assert_eq!(
        [pipe.pop(), pipe.pop(), pipe.pop()].map(Option::unwrap_or_default),
        ["before", "e", ""]
    );
}

#[test]
fn a_full_pipe_takes_nothing_until_it_is_read() {
    let (pipe, cx) = (Pipe::default(), cx());
    assert!(pipe.poll_copy(&vec![0; HIGH_WATER], &cx).is_ready());
    assert!(pipe.poll_copy(b"x", &cx).is_pending());
    assert!(pipe.poll_empty(&cx).is_pending());

    assert_eq!(pipe.pop().unwrap().len(), HIGH_WATER);

    assert!(pipe.poll_empty(&cx).is_ready());
    assert!(pipe.poll_copy(b"x", &cx).is_ready());
}

#[test]
fn who_writes_is_told_that_nobody_reads() {
    let pipe = Arc::new(Pipe::default());
    drop(Reader(Arc::clone(&pipe)));

    assert!(matches!(
        pipe.poll_copy(b"x", &cx()),
        Poll::Ready(Err(ReaderGone))
    ));
}

#[test]
fn what_was_written_is_read_before_the_end() {
    let (pipe, cx) = (Pipe::default(), cx());
    assert!(pipe.poll_copy(b"x", &cx).is_ready());
    pipe.end(Err(Error::internal("broken")));

    assert!(matches!(pipe.poll_next(&cx), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(pipe.poll_next(&cx), Poll::Ready(Some(Err(_)))));
    assert!(matches!(pipe.poll_next(&cx), Poll::Ready(None)));
}
