// Sends the telemetry that tests/clients expects: client grpc|http/protobuf; or is a server: client serve. The endpoint and the packing come from
// OTEL_EXPORTER_OTLP_*, as for any program.
package main

import (
	"context"
	"encoding/binary"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var (
	ctx     = context.Background()
	traceID = trace.TraceID{0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c}
	spanID  = trace.SpanID{0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74}
	about   = resource.NewSchemaless(
		attribute.String("service.name", "checkout ✓"),
		attribute.String("service.instance.id", "7"),
		attribute.Int("host.cpus", 4),
	)
	attributes = []attribute.KeyValue{
		attribute.String("text", "naïve 🌊 \"quoted\"\nline"),
		attribute.String("empty", ""),
		attribute.Int64("int", -9007199254740991),
		attribute.Float64("double", 0.1),
		attribute.Bool("yes", true),
		attribute.Bool("no", false),
		attribute.StringSlice("texts", []string{"a", "é"}),
		attribute.Int64Slice("ints", []int64{1, -2}),
		attribute.Float64Slice("doubles", []float64{0.5, -0.25}),
		attribute.BoolSlice("bools", []bool{true, false}),
	}
)

const scope, version = "tests.clients", "1.2.3"

func after(nanos int64) time.Time { return time.Unix(0, 1_700_000_000_123_456_789+nanos) }

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// The spans are numbered.
type ids struct{ last uint64 }

func (i *ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	return traceID, i.NewSpanID(ctx, traceID)
}

func (i *ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	i.last++
	binary.BigEndian.PutUint64(id[:], i.last)
	return id
}

func traces(exporter sdktrace.SpanExporter) {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithIDGenerator(&ids{0xeee19b7ec3c1b173}),
		sdktrace.WithBatcher(exporter),
	)
	tracer := provider.Tracer(scope, trace.WithInstrumentationVersion(version))
	inside, parent := tracer.Start(ctx, "GET /ünïcode", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attributes...), trace.WithTimestamp(after(0)))
	other := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		SpanID:     trace.SpanID{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18},
		TraceFlags: trace.FlagsSampled,
		Remote:     true,
	})
	link := trace.Link{SpanContext: other, Attributes: []attribute.KeyValue{attribute.String("why", "cause")}}
	_, child := tracer.Start(inside, "query", trace.WithSpanKind(trace.SpanKindClient), trace.WithLinks(link),
		trace.WithTimestamp(after(1)))
	child.AddEvent("cache miss", trace.WithTimestamp(after(2)),
		trace.WithAttributes(attribute.String("key", "ключ"), attribute.Int("tries", 3)))
	child.SetStatus(codes.Error, "timed out")
	child.End(trace.WithTimestamp(after(3)))
	parent.SetStatus(codes.Ok, "")
	parent.End(trace.WithTimestamp(after(4)))
	check(provider.Shutdown(ctx))
}

func metrics(exporter sdkmetric.Exporter) {
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(about),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))),
	)
	meter := provider.Meter(scope, metric.WithInstrumentationVersion(version))
	requests := must(meter.Int64Counter("requests", metric.WithUnit("{request}"), metric.WithDescription("Réquests.")))
	requests.Add(ctx, 7, metric.WithAttributes(attributes...))
	must(meter.Float64Counter("cost")).Add(ctx, 1.5, metric.WithAttributes(attribute.String("currency", "€")))
	must(meter.Int64UpDownCounter("queue")).Add(ctx, -3)
	duration := must(meter.Float64Histogram("duration", metric.WithUnit("s"), metric.WithDescription("How long."),
		metric.WithExplicitBucketBoundaries(1, 10)))
	for _, value := range []float64{0.5, 2.5, 30.5} {
		duration.Record(ctx, value, metric.WithAttributes(attribute.String("route", "/a")))
	}
	observe := func(_ context.Context, observer metric.Float64Observer) error {
		observer.Observe(21.5, metric.WithAttributes(attribute.Int("room", 1)))
		return nil
	}
	must(meter.Float64ObservableGauge("temperature", metric.WithUnit("Cel"), metric.WithFloat64Callback(observe)))
	check(provider.Shutdown(ctx))
}

func logs(exporter sdklog.Exporter) {
	provider := sdklog.NewLoggerProvider(
		sdklog.WithResource(about),
		sdklog.WithProcessor(sdklog.NewSimpleProcessor(exporter)),
	)
	logger := provider.Logger(scope, log.WithInstrumentationVersion(version))
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled})
	var record log.Record
	record.SetTimestamp(after(0))
	record.SetObservedTimestamp(after(1))
	record.SetSeverity(log.SeverityError)
	record.SetSeverityText("ERROR")
	record.SetBody(attribute.StringValue("привет, мир"))
	record.AddAttributes(attributes...)
	record.AddAttributes(
		attribute.ByteSlice("bytes", []byte{0, 255}),
		attribute.Map("map", attribute.Int("inner", 7), attribute.Slice("list", attribute.StringValue("x"), attribute.BoolValue(true))),
	)
	logger.Emit(trace.ContextWithSpanContext(ctx, span), record)
	record = log.Record{}
	record.SetTimestamp(after(2))
	record.SetObservedTimestamp(after(3))
	record.SetSeverity(log.SeverityInfo2)
	record.SetBody(attribute.MapValue(attribute.String("user", "ann"), attribute.Int64Slice("ids", []int64{1, 2})))
	logger.Emit(ctx, record)
	check(provider.Shutdown(ctx))
}

func main() {
	if os.Args[1] == "serve" {
		serve()
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(check))
	if os.Args[1] == "grpc" {
		traces(must(otlptracegrpc.New(ctx)))
		metrics(must(otlpmetricgrpc.New(ctx)))
		logs(must(otlploggrpc.New(ctx)))
	} else {
		traces(must(otlptracehttp.New(ctx)))
		metrics(must(otlpmetrichttp.New(ctx)))
		logs(must(otlploghttp.New(ctx)))
	}
}
