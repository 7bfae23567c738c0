"""A gRPC server of the C core: says its port, then of each call of any service the size and the Adler-32 sum, and
answers with an empty message."""

from concurrent.futures import ThreadPoolExecutor
from zlib import adler32

import grpc


class Any(grpc.GenericRpcHandler):
    def service(self, call):
        return grpc.unary_unary_rpc_method_handler(take)


def take(message, context):
    print(f"{len(message)} {adler32(message)}\n", end="", flush=True)
    return b""


server = grpc.server(ThreadPoolExecutor(4), handlers=[Any()])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
