//! What produceData, consumeData and their closing refuse, in the words controllers know and in their order.

use ringsoup_sfu::command::{Command, CommandError, TransportCommand};
use ringsoup_sfu::data::command::{ConsumeData, DataType, ProduceData, SctpStreamParameters};

use crate::common::data::{consume_direct, consume_sctp, produce_direct, produce_sctp, small_sctp, stream};
use crate::common::{ROUTER, World};

/// A direct transport, one with SCTP and one with neither, with a data producer on each of the first two.
fn world() -> World {
    let mut world = World::new();
    world.direct("direct");
    world.create_plain("sctp", small_sctp()).expect("created");
    world.plain("neither");
    world.produce_data("direct", produce_direct("p"));
    world.produce_data("sctp", produce_sctp("q", 1));
    world
}

fn produce(world: &mut World, transport: &str, request: ProduceData) -> CommandError {
    world.try_produce_data(transport, request).expect_err("refused")
}

fn consume(world: &mut World, transport: &str, request: ConsumeData) -> CommandError {
    world.try_consume_data(transport, request).expect_err("refused")
}

fn type_error(reason: &str) -> CommandError {
    CommandError::type_error(reason)
}

#[test]
fn a_transport_that_carries_no_data_says_so_first() {
    let mut world = world();
    let error = CommandError::error("SCTP not enabled and not a direct Transport");
    // The name is taken, the stream parameters are missing: neither is looked at.
    let request = ProduceData { data_type: DataType::Sctp, ..produce_direct("p") };
    assert_eq!(produce(&mut world, "neither", request), error);
    let request = ConsumeData { data_type: DataType::Sctp, ..consume_direct("c", "nobody") };
    assert_eq!(consume(&mut world, "neither", request), error);
    for (noun, command) in [
        ("DataProducer", TransportCommand::CloseDataProducer { data_producer: "p".into() }),
        ("DataConsumer", TransportCommand::CloseDataConsumer { data_consumer: "c".into() }),
    ] {
        let error = world.try_transport("neither", command).expect_err("refused");
        let reason = format!("cannot close {noun}, SCTP not enabled and not a direct Transport");
        assert_eq!(error, CommandError::error(reason));
    }
}

#[test]
fn stream_parameters_are_checked_before_the_kind_of_transport() {
    let mut world = world();
    let missing = ProduceData { data_type: DataType::Sctp, ..produce_direct("x") };
    assert_eq!(produce(&mut world, "direct", missing), type_error("missing sctpStreamParameters"));
    let missing = ConsumeData { data_type: DataType::Sctp, ..consume_direct("x", "p") };
    assert_eq!(consume(&mut world, "direct", missing), type_error("missing sctpStreamParameters"));
    let both = Some(SctpStreamParameters {
        stream_id: 3,
        max_packet_life_time: Some(1),
        max_retransmits: Some(1),
        ordered: None,
    });
    let request = ProduceData { sctp_stream_parameters: both, ..produce_sctp("x", 3) };
    let error = type_error("cannot provide both maxPacketLifeTime and maxRetransmits");
    assert_eq!(produce(&mut world, "sctp", request), error);
    let request = ConsumeData { sctp_stream_parameters: both, ..consume_sctp("x", "p", 3) };
    assert_eq!(consume(&mut world, "sctp", request), error);
}

#[test]
fn the_type_must_be_the_transports() {
    let mut world = world();
    assert_eq!(
        produce(&mut world, "direct", produce_sctp("x", 3)),
        type_error("cannot create a DataProducer of type 'sctp', SCTP not enabled in this Transport")
    );
    assert_eq!(
        consume(&mut world, "direct", consume_sctp("x", "p", 3)),
        type_error("cannot create a DataConsumer of type 'sctp', SCTP not enabled in this Transport")
    );
    assert_eq!(
        produce(&mut world, "sctp", produce_direct("x")),
        type_error("cannot create a DataProducer of type 'direct', not a direct Transport")
    );
    assert_eq!(
        consume(&mut world, "sctp", consume_direct("x", "p")),
        type_error("cannot create a DataConsumer of type 'direct', not a direct Transport")
    );
    // Parameters of a stream do not disturb what has none.
    let request = ProduceData { sctp_stream_parameters: stream(65_535), ..produce_direct("x") };
    assert_eq!(world.produce_data("direct", request).stream, None);
}

#[test]
fn names_and_streams_are_taken_once() {
    let mut world = world();
    let taken =
        |name: &str| CommandError::error(format!("Channel request handler with ID {name} already exists"));
    assert_eq!(produce(&mut world, "sctp", produce_sctp("q", 9)), taken("q"));
    assert_eq!(produce(&mut world, "sctp", produce_sctp("p", 9)), taken("p"));
    let error = CommandError::error("streamId already exists in SCTP listener [streamId:1]");
    assert_eq!(produce(&mut world, "sctp", produce_sctp("x", 1)), error);
    world.consume_data("sctp", consume_sctp("c", "p", 1));
    assert_eq!(consume(&mut world, "sctp", consume_sctp("c", "p", 9)), taken("c"));
    let error = "an SCTP DataConsumer with same streamId 1 already exists [method:transport.consumeData]";
    // The stream comes before the producer.
    assert_eq!(consume(&mut world, "sctp", consume_sctp("x", "nobody", 1)), CommandError::error(error));
    let error = CommandError::not_found("DataProducer not found [dataProducerId:nobody]");
    assert_eq!(consume(&mut world, "sctp", consume_sctp("x", "nobody", 2)), error);
    // Nothing was left behind by any of them.
    world.produce_data("sctp", produce_sctp("x", 9));
    world.consume_data("sctp", consume_sctp("y", "p", 9));
}

#[test]
fn a_producer_of_another_router_is_not_found() {
    let mut world = world();
    world.command(Command::CreateRouter { router: "other".into() });
    let options = crate::common::parameters::transport_options(true);
    world.command(Command::CreateDirectTransport {
        router: "other".into(),
        transport: "far".into(),
        options,
    });
    let error = CommandError::not_found("DataProducer not found [dataProducerId:p]");
    assert_eq!(consume(&mut world, "far", consume_direct("c", "p")), error);
    assert_eq!(world.router_dump().router, ROUTER);
}

#[test]
fn only_the_owner_closes() {
    let mut world = world();
    world.consume_data("direct", consume_direct("c", "p"));
    let close = |world: &mut World, transport: &str, command| world.try_transport(transport, command);
    let error = close(&mut world, "sctp", TransportCommand::CloseDataProducer { data_producer: "p".into() });
    assert_eq!(
        error.expect_err("refused"),
        CommandError::not_found("DataProducer not found [method:transport.closeDataProducer]")
    );
    let error = close(&mut world, "sctp", TransportCommand::CloseDataConsumer { data_consumer: "c".into() });
    assert_eq!(
        error.expect_err("refused"),
        CommandError::not_found("DataConsumer not found [method:transport.closeDataConsumer]")
    );
}
