# SPDX-License-Identifier: Apache-2.0
"""Times one Python package for `tessera bench ops --peers`.

Usage: python_peer.py torch|onnxruntime|openvino

Answers lines of JSON: {"op": ...} with {"ready": what it does} or {"refused":
why}, {"batch_ns": T} with {"ns": of one op, "ops": how many}. The first line,
unasked, is {"name": ...} or {"missing": true}. Each result is checked before it
is timed.
"""

import ctypes
import json
import math
import os
import signal
import sys
import time

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what a package prints is no answer


class Refused(Exception):
    pass


def answer(**words):
    ANSWERS.write(json.dumps(words) + "\n")
    ANSWERS.flush()


def copies(case, weight_bytes):
    """How many weights a cold case takes in turn."""
    return max(1, math.ceil(case["cold_bytes"] / weight_bytes))


def random_matrix(numpy, rows, columns, seed):
    rng = numpy.random.default_rng(seed)
    return rng.standard_normal((rows, columns), dtype=numpy.float32)


def check(numpy, found, x, w, tolerance):
    """Some rows of x w^T, against sums in double."""
    for row in {0, len(x) - 1}:
        exact = w[:64].astype(numpy.float64) @ x[row].astype(numpy.float64)
        size = numpy.abs(w[:64]).astype(numpy.float64) @ numpy.abs(x[row])
        error = numpy.abs(found[row][:64].astype(numpy.float64) - exact)
        if not (error <= tolerance * size).all():
            raise Refused("its result is wrong")


def random_heads(numpy, case):
    """q [B, heads, L, D], k and v [B, kv_heads, S, D]."""
    rng = numpy.random.default_rng(1)
    B, D = case["batch"], case["head_dim"]
    shapes = [(case["heads"], case["q_len"])] + 2 * [(case["kv_heads"], case["kv_len"])]
    return [rng.standard_normal((B, heads, length, D), dtype=numpy.float32) for heads, length in shapes]


def check_attention(numpy, found, q, k, v):
    """The first and the last token of the first and the last head; `found` is [B, heads, L, D]."""
    group, past = q.shape[1] // k.shape[1], k.shape[2] - q.shape[2]
    for head in {0, q.shape[1] - 1}:
        for row in {0, q.shape[2] - 1}:
            seen = past + row + 1
            keys, values = (x[-1, head // group, :seen].astype(numpy.float64) for x in (k, v))
            scores = keys @ q[-1, head, row].astype(numpy.float64) / math.sqrt(q.shape[3])
            weights = numpy.exp(scores - scores.max())
            exact = weights @ values / weights.sum()
            if not numpy.allclose(found[-1, head, row], exact, rtol=0.05, atol=0.05):
                raise Refused("its result is wrong")


class Torch:
    TYPES = {"f32": "float32", "bf16": "bfloat16", "w16a16": "float16", "f16": "float16"}

    def __init__(self):
        import torch
        self.torch = torch
        self.name = f"torch {torch.__version__.split('+')[0]}"
        torch.set_grad_enabled(False)

    def make(self, case):
        self.torch.set_num_threads(case["threads"])
        if case["op"] == "attention":
            return self.attention(case)
        if case["op"] != "linear":
            raise Refused(f"no {case['op']} here")
        if case["scheme"] == "w8a8_dynamic":
            return self.dynamic(case)
        if case["scheme"] not in self.TYPES:
            raise Refused(f"no {case['scheme']} product")
        torch = self.torch
        dtype = getattr(torch, self.TYPES[case["scheme"]])
        M, N, K = case["M"], case["N"], case["K"]
        x = torch.randn(M, K).to(dtype)
        w = torch.randn(N, K).to(dtype)
        count = copies(case, N * K * w.element_size())
        weights = [w] + [w.clone() for _ in range(count - 1)]
        product = torch.nn.functional.linear
        check(numpy_of(), product(x, w).float().numpy(), x.float().numpy(),
              w.float().numpy(), 1e-5 if case["scheme"] == "f32" else 0.02)
        return lambda i: product(x, weights[i % count]), f"linear, {dtype}"

    def dynamic(self, case):
        torch = self.torch
        M, N, K = case["M"], case["N"], case["K"]
        x, w = torch.randn(M, K), torch.randn(N, K)
        codes = torch.quantize_per_channel(
            w, w.abs().amax(1) / 127.0, torch.zeros(N), 0, torch.qint8)
        count = copies(case, N * K)
        packed = [torch.ops.quantized.linear_prepack(codes, None) for _ in range(count)]
        product = torch.ops.quantized.linear_dynamic
        check(numpy_of(), product(x, packed[0]).numpy(), x.numpy(),
              codes.dequantize().numpy(), 0.05)
        return (lambda i: product(x, packed[i % count]),
                f"linear_dynamic, {torch.backends.quantized.engine}")

    def attention(self, case):
        torch = self.torch
        if case["kv"] not in self.TYPES:
            raise Refused(f"no attention over a {case['kv']} cache")
        dtype = getattr(torch, self.TYPES[case["kv"]])
        L, S = case["q_len"], case["kv_len"]
        arrays = random_heads(numpy_of(), case)
        q, k, v = (torch.from_numpy(x).to(dtype) for x in arrays)
        count = copies(case, 2 * k.numel() * k.element_size())
        caches = [(k, v)] + [(k.clone(), v.clone()) for _ in range(count - 1)]
        words = {"enable_gqa": True} if case["heads"] != case["kv_heads"] else {}
        if L > 1 and L == S:
            words["is_causal"] = True
        elif L > 1:
            words["attn_mask"] = torch.ones(L, S, dtype=torch.bool).tril(S - L)
        function = torch.nn.functional.scaled_dot_product_attention

        def run(i):
            keys, values = caches[i % count]
            return function(q, keys, values, **words)

        check_attention(numpy_of(), run(0).float().numpy(), *arrays)
        return run, f"scaled_dot_product_attention, {dtype}"


class OnnxRuntime:
    def __init__(self):
        import onnx
        import onnxruntime
        self.onnx, self.runtime = onnx, onnxruntime
        self.name = f"onnxruntime {onnxruntime.__version__}"

    def make(self, case):
        if case["op"] == "attention":
            return self.attention(case)
        if case["op"] != "linear":
            raise Refused(f"no {case['op']} here")
        numpy = numpy_of()
        M, N, K = case["M"], case["N"], case["K"]
        x = random_matrix(numpy, M, K, 1)
        w = random_matrix(numpy, N, K, 2)
        if case["scheme"] == "f32":
            node, constants, bytes_ = self.float_node(w)
        elif case["scheme"] == "w8a8_dynamic":
            node, constants, bytes_, w = self.dynamic_node(numpy, w)
        else:
            raise Refused(f"no {case['scheme']} product")
        model = self.model(node, constants, M, N, K)
        sessions = [self.session(model, case["threads"])
                    for _ in range(copies(case, bytes_))]

        def run(i):
            return sessions[i % len(sessions)].run(None, {"x": x})

        check(numpy, run(0)[0], x, w, 1e-5 if case["scheme"] == "f32" else 0.05)
        return run, node.op_type

    def attention(self, case):
        """The cache lies in one buffer that holds it before and after, as a server has it."""
        if case["kv"] not in ("f32", "f16"):
            raise Refused(f"no attention over a {case['kv']} cache")
        numpy = numpy_of()
        dtype = {"f32": numpy.float32, "f16": numpy.float16}[case["kv"]]
        q, k, v = random_heads(numpy, case)
        B, L, S, D = case["batch"], case["q_len"], case["kv_len"], case["head_dim"]
        rows = [x.transpose(0, 2, 1, 3).reshape(B, L, -1).astype(dtype)
                for x in (q, k[:, :, S - L:], v[:, :, S - L:])]
        caches = [x.astype(dtype) for x in (k, v)]
        session = self.session(self.attention_model(case, dtype), case["threads"])
        bindings = [self.bind(session, rows, caches, case)
                    for _ in range(copies(case, sum(x.nbytes for x in caches)))]

        def run(i):
            session.run_with_iobinding(bindings[i % len(bindings)])

        run(0)
        found = bindings[0].get_outputs()[0].numpy().astype(numpy.float32)
        check_attention(numpy, found.reshape(B, L, -1, D).transpose(0, 2, 1, 3), q, k, v)
        return run, f"GroupQueryAttention, {numpy.dtype(dtype).name}"

    def attention_model(self, case, dtype):
        helper = self.onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(numpy_of().dtype(dtype))
        whole = self.onnx.TensorProto.INT32
        B, L, S, D = case["batch"], case["q_len"], case["kv_len"], case["head_dim"]
        heads, kv_heads = case["heads"], case["kv_heads"]
        info = helper.make_tensor_value_info
        inputs = [info("q", kind, [B, L, heads * D]), info("k", kind, [B, L, kv_heads * D]),
                  info("v", kind, [B, L, kv_heads * D])]
        caches = [info(name, kind, [B, kv_heads, S, D]) for name in ("old_k", "old_v", "new_k", "new_v")]
        sizes = [info("last", whole, [B]), info("total", whole, [1])]
        node = helper.make_node(
            "GroupQueryAttention", ["q", "k", "v", "old_k", "old_v", "last", "total"],
            ["y", "new_k", "new_v"], domain="com.microsoft", num_heads=heads, kv_num_heads=kv_heads)
        return self.serialized([node], inputs + caches[:2] + sizes,
                               [info("y", kind, [B, L, heads * D])] + caches[2:], [])

    def bind(self, session, rows, caches, case):
        numpy = numpy_of()
        B, S = case["batch"], case["kv_len"]
        binding = session.io_binding()
        binding.bind_output("y")
        for name, array in zip(("q", "k", "v"), rows):
            binding.bind_ortvalue_input(name, self.value(array))
        for name, array in zip(("k", "v"), caches):
            cache = self.value(array)
            binding.bind_ortvalue_input("old_" + name, cache)
            binding.bind_ortvalue_output("new_" + name, cache)
        binding.bind_ortvalue_input("last", self.value(numpy.full(B, S - 1, numpy.int32)))
        binding.bind_ortvalue_input("total", self.value(numpy.array([S], numpy.int32)))
        return binding

    def value(self, array):
        """With memory of its own: one made from an array would only borrow it."""
        value = self.runtime.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype)
        value.update_inplace(numpy_of().ascontiguousarray(array))
        return value

    def float_node(self, w):
        helper, numpy_helper = self.onnx.helper, self.onnx.numpy_helper
        constants = [numpy_helper.from_array(w.T.copy(), "w")]
        return helper.make_node("MatMul", ["x", "w"], ["y"]), constants, w.nbytes

    def dynamic_node(self, numpy, w):
        scale = numpy.float32(numpy.abs(w).max() / 127.0)
        codes = numpy.rint(w / scale).astype(numpy.int8)
        from_array = self.onnx.numpy_helper.from_array
        constants = [from_array(codes.T.copy(), "w"), from_array(numpy.array(scale), "scale"),
                     from_array(numpy.array(0, dtype=numpy.int8), "zero")]
        node = self.onnx.helper.make_node(
            "DynamicQuantizeMatMul", ["x", "w", "scale", "zero"], ["y"], domain="com.microsoft")
        return node, constants, codes.nbytes, codes.astype(numpy.float32) * scale

    def model(self, node, constants, M, N, K):
        info, kind = self.onnx.helper.make_tensor_value_info, self.onnx.TensorProto.FLOAT
        return self.serialized([node], [info("x", kind, [M, K])], [info("y", kind, [M, N])], constants)

    def serialized(self, nodes, inputs, outputs, constants):
        helper = self.onnx.helper
        graph = helper.make_graph(nodes, "case", inputs, outputs, constants)
        sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=sets)
        model.ir_version = 8
        return model.SerializeToString()

    def session(self, model, threads):
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = threads
        return self.runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OpenVino:
    PRECISIONS = {"f32": "f32", "bf16": "bf16", "w8a16": "f32"}

    def __init__(self):
        import openvino
        self.openvino = openvino
        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self.core = openvino.Core()

    def make(self, case):
        if case["op"] == "attention":
            return self.attention(case)
        if case["op"] != "linear":
            raise Refused(f"no {case['op']} here")
        scheme = case["scheme"]
        if scheme not in self.PRECISIONS:
            raise Refused(f"no {scheme} product")
        numpy = numpy_of()
        M, N, K = case["M"], case["N"], case["K"]
        x = random_matrix(numpy, M, K, 1)
        w = random_matrix(numpy, N, K, 2)
        codes = numpy.rint(w * 30.0).clip(-127, 127).astype(numpy.int8)
        if scheme == "w8a16":
            w = codes.astype(numpy.float32) / numpy.float32(30.0)
        width = {"f32": 4, "bf16": 2, "w8a16": 1}[scheme]
        requests = [self.request(x.shape, w, codes, case)
                    for _ in range(copies(case, N * K * width))]

        def run(i):
            return requests[i % len(requests)].infer({0: x}, share_inputs=True)

        found = next(iter(run(0).values()))
        check(numpy, found, x, w, 1e-5 if scheme == "f32" else 0.03)
        return run, f"MatMul, {scheme}"

    def attention(self, case):
        """Query heads that share a KV head are rows of one product with it."""
        if case["kv"] not in ("f32", "bf16"):
            raise Refused(f"no attention over a {case['kv']} cache")
        numpy = numpy_of()
        q, k, v = random_heads(numpy, case)
        B, L, S, D = case["batch"], case["q_len"], case["kv_len"], case["head_dim"]
        kv_heads, group = case["kv_heads"], case["heads"] // case["kv_heads"]
        rows = q.reshape(B, kv_heads, group * L, D)
        mask = numpy.tile(numpy.tril(numpy.ones((L, S), bool), S - L), (group, 1))[None, None]
        count = copies(case, (k.nbytes + v.nbytes) // (1 if case["kv"] == "f32" else 2))
        requests = [self.attention_request(case, rows, k, v, mask) for _ in range(count)]

        def run(i):
            requests[i % count].infer()
            return requests[i % count]

        found = run(0).get_output_tensor().data
        if case["kv"] == "bf16":
            bits = found.view(numpy.uint16).astype(numpy.uint32) << 16
            found = bits.view(numpy.float32)
        check_attention(numpy, found.reshape(q.shape), q, k, v)
        return run, f"ScaledDotProductAttention, {case['kv']}"

    def attention_request(self, case, rows, k, v, mask):
        numpy, ops, openvino = numpy_of(), self.openvino.opset13, self.openvino
        kind = openvino.Type.bf16 if case["kv"] == "bf16" else openvino.Type.f32
        arrays = [rows, k, v]
        inputs = [ops.parameter(list(x.shape), kind) for x in arrays]
        masks = [ops.constant(mask)] if case["q_len"] > 1 else []
        result = ops.scaled_dot_product_attention(*inputs, *masks)
        model = openvino.Model([result], inputs)
        request = self.compiled(model, case, case["kv"]).create_infer_request()
        for index, array in enumerate(arrays):
            tensor = openvino.Tensor(kind, openvino.Shape(array.shape))
            if case["kv"] == "bf16":
                # Rounded to nearest, half up: enough for random data.
                bits = (array.view(numpy.uint32) + 0x8000) >> 16
                tensor.data.view(numpy.uint16)[:] = bits.astype(numpy.uint16)
            else:
                tensor.data[:] = array
            request.set_input_tensor(index, tensor)
        return request

    def request(self, shape, w, codes, case):
        numpy, ops = numpy_of(), self.openvino.opset13
        x = ops.parameter(list(shape), numpy.float32)
        if case["scheme"] == "w8a16":
            scale = numpy.full((len(codes), 1), 1.0 / 30.0, numpy.float32)
            weight = ops.multiply(ops.convert(ops.constant(codes), "f32"), ops.constant(scale))
        else:
            weight = ops.constant(w)
        model = self.openvino.Model([ops.matmul(x, weight, False, True)], [x])
        return self.compiled(model, case, self.PRECISIONS[case["scheme"]]).create_infer_request()

    def compiled(self, model, case, precision):
        return self.core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": case["threads"], "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        })


def numpy_of():
    import numpy
    return numpy


class Timer:
    """Runs a case in batches."""

    def __init__(self, run):
        self.run = run
        self.turn = 0
        self.batch(2)

    def batch(self, count):
        begin = time.perf_counter_ns()
        for _ in range(count):
            self.run(self.turn)
            self.turn += 1
        return time.perf_counter_ns() - begin

    def sample(self, batch_ns):
        count, ns = 0, 0
        step = 1
        while ns < batch_ns:
            ns += self.batch(step)
            count += step
            left = (batch_ns - ns) * count / max(ns, 1)
            step = int(min(max(left, 1), 100 * count))
        return ns / count, count


def main():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with its parent, even halted
    try:
        kinds = {"torch": Torch, "onnxruntime": OnnxRuntime, "openvino": OpenVino}
        peer = kinds[sys.argv[1]]()
    except ImportError:
        answer(missing=True)
        return
    answer(name=peer.name)
    timer = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "batch_ns" in request:
                ns, count = timer.sample(request["batch_ns"])
                answer(ns=ns, ops=count)
                continue
            timer = None  # gives back the memory of the case before
            run, what = peer.make(request)
            timer = Timer(run)
            answer(ready=what)
        except Refused as reason:
            answer(refused=str(reason))
        except Exception as error:  # whatever a package throws is its refusal
            answer(refused=(str(error) or type(error).__name__).splitlines()[0][:200])


main()
