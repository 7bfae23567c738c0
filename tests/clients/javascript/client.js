// Sends the telemetry that tests/clients expects: client.js grpc|http/protobuf|http/json. The endpoint and the packing
// come from OTEL_EXPORTER_OTLP_*, as for any program.
'use strict';

const api = require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { AggregationType, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { LoggerProvider, SimpleLogRecordProcessor } = require('@opentelemetry/sdk-logs');

const packages = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' };
const exporters = packages[process.argv[2]];
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${exporters}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${exporters}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${exporters}`);

const TRACE = '5b8efff798038103d269b633813fc60c';
const after = (nanos) => [1_700_000_000, 123_456_789 + nanos];
const ATTRIBUTES = {
  text: 'naïve 🌊 "quoted"\nline',
  empty: '',
  int: -9007199254740991,
  double: 0.1,
  yes: true,
  no: false,
  texts: ['a', 'é'],
  ints: [1, -2],
  doubles: [0.5, -0.25],
  bools: [true, false],
};
const resource = resourceFromAttributes({ 'service.name': 'checkout ✓', 'service.instance.id': '7', 'host.cpus': 4 });
const SCOPE = ['tests.clients', '1.2.3'];

async function traces() {
  let span = 0xeee19b7ec3c1b173n;
  const idGenerator = { generateTraceId: () => TRACE, generateSpanId: () => (++span).toString(16) };
  const spanProcessors = [new BatchSpanProcessor(new OTLPTraceExporter())];
  const provider = new BasicTracerProvider({ resource, idGenerator, spanProcessors });
  const tracer = provider.getTracer(...SCOPE);
  const server = { kind: api.SpanKind.SERVER, attributes: ATTRIBUTES, startTime: after(0) };
  const parent = tracer.startSpan('GET /ünïcode', server, api.ROOT_CONTEXT);
  const other = { traceId: '0102030405060708090a0b0c0d0e0f10', spanId: '1112131415161718', traceFlags: 1, isRemote: true };
  const links = [{ context: other, attributes: { why: 'cause' } }];
  const client = { kind: api.SpanKind.CLIENT, links, startTime: after(1) };
  const child = tracer.startSpan('query', client, api.trace.setSpan(api.ROOT_CONTEXT, parent));
  child.addEvent('cache miss', { key: 'ключ', tries: 3 }, after(2));
  child.setStatus({ code: api.SpanStatusCode.ERROR, message: 'timed out' });
  child.end(after(3));
  parent.setStatus({ code: api.SpanStatusCode.OK });
  parent.end(after(4));
  await provider.shutdown();
}

async function metrics() {
  const exporter = new OTLPMetricExporter();
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const options = { boundaries: [1, 10] };
  const aggregation = { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options };
  const views = [{ instrumentName: 'duration', aggregation }];
  const provider = new MeterProvider({ resource, readers: [reader], views });
  const meter = provider.getMeter(...SCOPE);
  meter.createCounter('requests', { unit: '{request}', description: 'Réquests.', valueType: api.ValueType.INT }).add(7, ATTRIBUTES);
  meter.createCounter('cost').add(1.5, { currency: '€' });
  meter.createUpDownCounter('queue', { valueType: api.ValueType.INT }).add(-3);
  const duration = meter.createHistogram('duration', { unit: 's', description: 'How long.' });
  for (const value of [0.5, 2.5, 30.5]) duration.record(value, { route: '/a' });
  const temperature = meter.createObservableGauge('temperature', { unit: 'Cel' });
  temperature.addCallback((result) => result.observe(21.5, { room: 1 }));
  await provider.shutdown();
}

async function logs() {
  const processors = [new SimpleLogRecordProcessor({ exporter: new OTLPLogExporter() })];
  const provider = new LoggerProvider({ resource, processors });
  const logger = provider.getLogger(...SCOPE);
  const span = { traceId: TRACE, spanId: 'eee19b7ec3c1b174', traceFlags: 1 };
  logger.emit({
    timestamp: after(0),
    observedTimestamp: after(1),
    context: api.trace.setSpanContext(api.ROOT_CONTEXT, span),
    severityNumber: SeverityNumber.ERROR,
    severityText: 'ERROR',
    body: 'привет, мир',
    attributes: { ...ATTRIBUTES, bytes: new Uint8Array([0, 255]), map: { inner: 7, list: ['x', true] } },
  });
  logger.emit({
    timestamp: after(2),
    observedTimestamp: after(3),
    context: api.ROOT_CONTEXT,
    severityNumber: SeverityNumber.INFO2,
    body: { user: 'ann', ids: [1, 2] },
  });
  await provider.shutdown();
}

traces().then(metrics).then(logs);
