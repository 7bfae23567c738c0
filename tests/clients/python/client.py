"""Sends the telemetry that tests/clients expects: client.py grpc|http/protobuf. The endpoint and the packing come from
OTEL_EXPORTER_OTLP_*, as for any program."""

import sys
import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

TRACE = 0x5B8EFFF798038103D269B633813FC60C
TIME = 1_700_000_000_123_456_789
ATTRIBUTES = {
    "text": "naïve 🌊 \"quoted\"\nline",
    "empty": "",
    "int": -9007199254740991,
    "double": 0.1,
    "yes": True,
    "no": False,
    "texts": ("a", "é"),
    "ints": (1, -2),
    "doubles": (0.5, -0.25),
    "bools": (True, False),
}
RESOURCE = Resource({"service.name": "checkout ✓", "service.instance.id": "7", "host.cpus": 4})
SCOPE = ("tests.clients", "1.2.3")


class Ids(IdGenerator):
    """The spans are numbered."""

    span = 0xEEE19B7EC3C1B173

    def generate_span_id(self):
        self.span += 1
        return self.span

    def generate_trace_id(self):
        return TRACE


def traces():
    provider = TracerProvider(resource=RESOURCE, id_generator=Ids())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer(*SCOPE)
    other = SpanContext(0x0102030405060708090A0B0C0D0E0F10, 0x1112131415161718, True, TraceFlags(1))
    parent = tracer.start_span("GET /ünïcode", kind=SpanKind.SERVER, attributes=ATTRIBUTES, start_time=TIME)
    context = trace.set_span_in_context(parent)
    child = tracer.start_span(
        "query", context, SpanKind.CLIENT, links=[Link(other, {"why": "cause"})], start_time=TIME + 1
    )
    child.add_event("cache miss", {"key": "ключ", "tries": 3}, TIME + 2)
    child.set_status(Status(StatusCode.ERROR, "timed out"))
    child.end(TIME + 3)
    parent.set_status(Status(StatusCode.OK))
    parent.end(TIME + 4)
    provider.shutdown()


def metrics():
    buckets = View(
        instrument_type=Histogram, aggregation=ExplicitBucketHistogramAggregation(boundaries=[1.0, 10.0])
    )
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)
    provider = MeterProvider([reader], RESOURCE, views=[buckets])
    meter = provider.get_meter(*SCOPE)
    meter.create_counter("requests", "{request}", "Réquests.").add(7, ATTRIBUTES)
    meter.create_counter("cost").add(1.5, {"currency": "€"})
    meter.create_up_down_counter("queue").add(-3)
    duration = meter.create_histogram("duration", "s", "How long.")
    for value in (0.5, 2.5, 30.5):
        duration.record(value, {"route": "/a"})
    meter.create_observable_gauge("temperature", [lambda _: [Observation(21.5, {"room": 1})]], "Cel")
    provider.shutdown()


def logs():
    provider = LoggerProvider(RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
    logger = provider.get_logger(*SCOPE)
    context = SpanContext(TRACE, 0xEEE19B7EC3C1B174, False, TraceFlags(1))
    logger.emit(
        LogRecord(
            timestamp=TIME,
            observed_timestamp=TIME + 1,
            context=trace.set_span_in_context(trace.NonRecordingSpan(context)),
            severity_number=SeverityNumber.ERROR,
            severity_text="ERROR",
            body="привет, мир",
            attributes={**ATTRIBUTES, "bytes": b"\x00\xff", "map": {"inner": 7, "list": ["x", True]}},
        )
    )
    logger.emit(
        LogRecord(
            timestamp=TIME + 2,
            observed_timestamp=TIME + 3,
            severity_number=SeverityNumber.INFO2,
            body={"user": "ann", "ids": [1, 2]},
        )
    )
    provider.shutdown()


traces()
metrics()
logs()
