//! Every recorded message decodes, and encodes again to the same bytes: by the protocol, and by the typed
//! contracts on top of it.

use contracts::script_service::{TicketAndSequence, complete_command, complete_ticket};
use contracts::{Capabilities, ScriptStatus, StartScriptCommand, UploadResult};
use halibut::Value;
use halibut::protocol::Limits;
use halibut::protocol::data_stream::{FrameHeader, HEADER_LENGTH, TRAILER_LENGTH};
use halibut::protocol::deflate::{Deflater, Inflater};
use halibut::protocol::message::{HEARTBEAT, Message};

use crate::transcript::{Kind, Transcript, decode, inflate};

#[test]
fn every_message_encodes_again_to_the_same_bytes() {
    let mut count = 0;
    for transcript in Transcript::all() {
        for (_, bson) in transcript.messages() {
            let again = match decode(&bson) {
                Message::Heartbeat => HEARTBEAT.to_vec(),
                Message::Request(request) => request.to_bson(),
                Message::Response(response) => response.to_bson(),
            };
            assert_eq!(hex::encode(again), hex::encode(&bson), "{}", transcript.name);
            count += 1;
        }
    }
    assert!(count > 200, "{count} messages");
}

#[test]
fn every_message_survives_our_own_deflate_in_any_pieces() {
    for transcript in Transcript::all() {
        for (_, bson) in transcript.messages() {
            let mut wire = Vec::new();
            Deflater::new().deflate(&bson, &mut wire);
            assert_eq!(inflate(&wire), bson);
        }
        for step in &transcript.steps {
            let Kind::Message(wire) = &step.kind else { continue };
            let mut inflater = Inflater::new();
            for (position, byte) in wire.iter().enumerate() {
                let (used, whole) = inflater.feed(&[*byte], &Limits::default()).expect("deflate");
                assert_eq!(
                    (used, whole),
                    (1, position + 1 == wire.len()),
                    "{}",
                    transcript.name
                );
            }
        }
    }
}

#[test]
fn every_typed_value_encodes_again_to_the_same_bytes() {
    let mut count = 0;
    for transcript in Transcript::all() {
        for (_, bson) in transcript.messages() {
            let again = match decode(&bson) {
                Message::Request(mut request) => {
                    if request.service != "IScriptServiceV2" {
                        continue;
                    }
                    let parameter = request.params.pop().expect("one parameter");
                    request.params = vec![typed_parameter(&request.method, parameter)];
                    request.to_bson()
                }
                Message::Response(mut response) => {
                    let Ok(Value::Document(document)) = response.result else {
                        continue;
                    };
                    let name = document.type_name().expect("a typed result").to_owned();
                    response.result = Ok(typed_result(&name, Value::Document(document)));
                    response.to_bson()
                }
                Message::Heartbeat => continue,
            };
            assert_eq!(hex::encode(again), hex::encode(&bson), "{}", transcript.name);
            count += 1;
        }
    }
    assert!(count > 100, "{count} values");
}

fn typed_parameter(method: &str, value: Value) -> Value {
    match method {
        "StartScript" => StartScriptCommand::from_value(value)
            .expect("a command")
            .into_value(),
        "GetStatus" => TicketAndSequence::from_value(value)
            .expect("a request")
            .into_status_request(),
        "CancelScript" => TicketAndSequence::from_value(value)
            .expect("a command")
            .into_cancel_command(),
        "CompleteScript" => complete_command(&complete_ticket(value).expect("a command")),
        other => panic!("unknown method {other}"),
    }
}

fn typed_result(name: &str, value: Value) -> Value {
    match name {
        "ScriptStatusResponseV2" => ScriptStatus::from_value(value).expect("a status").into_value(),
        "CapabilitiesResponseV2" => Capabilities::from_value(value)
            .expect("capabilities")
            .into_value(),
        "UploadResult" => UploadResult::from_value(value).expect("a result").into_value(),
        _ => value,
    }
}

#[test]
fn every_frame_of_a_stream_is_read_and_written() {
    for transcript in Transcript::all() {
        for step in &transcript.steps {
            let Kind::Stream(frame) = &step.kind else { continue };
            let (head, rest) = frame.split_at(HEADER_LENGTH);
            let header =
                FrameHeader::parse(head.try_into().expect("a header"), &Limits::default()).expect("a header");
            let (content, trailer) = rest.split_at(rest.len() - TRAILER_LENGTH);
            assert_eq!(content.len() as u64, header.length);
            header
                .check_trailer(trailer.try_into().expect("a trailer"))
                .expect("equal lengths");
            assert_eq!((&header.to_bytes()[..], &header.trailer()[..]), (head, trailer));
        }
    }
}
