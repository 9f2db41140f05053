--- `resty.openssl.bn`: numbers of any size.

local ops = require("moongate.ops").openssl
local wrap, istype, is_ctx = require("moongate.openssl.object").kind()

local error, setmetatable, type = error, setmetatable, type
local char, floor = string.char, math.floor

local _M = { istype = istype }
local mt = { __index = _M }

local function from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end

--- A number from the contents of a DER INTEGER.
function _M._from_integer(contents)
  return from(ops.bn_new(contents, 256))
end

--- The contents of the DER INTEGER of the number.
function _M:_to_integer()
  return ops.bn_write(self.ctx.id, "integer")
end

local BASES = { [0] = "mpi", [2] = "binary", [10] = "dec", [16] = "hex" }

-- MPI: four octets of length, then the magnitude with the sign in its first bit
local function mpi(s)
  local a, b, c, d = s:byte(1, 4)
  local length = d and ((a * 256 + b) * 256 + c) * 256 + d
  if length ~= #s - 4 then
    return nil
  end
  local first = s:byte(5)
  if not first or first < 128 then
    return ops.bn_new(s:sub(5), 2)
  end
  local positive = wrap(ops.bn_new(string.char(first - 128) .. s:sub(6), 2))
  return ops.bn_compute("unm", positive.id)
end

local function read(s, base)
  if base == 0 then
    return mpi(s)
  end
  return ops.bn_new(s, base)
end

local function parse(some, base)
  if type(some) == "number" then
    local id = ops.bn_new(some)
    if not id then
      return nil, "set_bn failed"
    end
    return id
  elseif type(some) == "string" then
    base = base or 10
    if not BASES[base] then
      return nil, "set_bn: unsupported base: " .. base
    end
    local id = read(some, base)
    if not id then
      return nil, "set_" .. BASES[base] .. " failed"
    end
    return id
  elseif some then
    return nil, "set_bn: expect nil, a number or a string at #1"
  end
  return ops.bn_new(0)
end

--- A number from a Lua number, or a text in a base: 10, 16, 2 (octets), 0 (MPI).
function _M.new(some, base)
  local id, err = parse(some, base)
  if not id then
    return nil, "bn.new: " .. err
  end
  return from(id)
end

local zero = _M.new()

--- A copy of the number behind a `ctx`.
function _M.dup(ctx)
  if not is_ctx(ctx) then
    return nil, "bn.dup: expect a bn ctx at #1"
  end
  return from(ops.bn_dup(ctx.id))
end

--- Gives the number another value.
function _M:set(some, base)
  if not some then
    return nil, "expect a number or a string at #1"
  end
  local id, err = parse(some, base)
  if not id then
    return nil, "bn:set: " .. err
  end
  self.ctx = wrap(id)
  return self
end

for base, name in pairs(BASES) do
  local label = "from_" .. name
  _M[label] = function(s)
    if type(s) ~= "string" then
      return nil, "bn." .. label .. ": expect a string at #1"
    end
    local id = read(s, base)
    if not id then
      return nil, "bn." .. label .. ": set_" .. name .. " failed"
    end
    return from(id)
  end
end

--- The magnitude's octets, `width` of them if given.
function _M:to_binary(width)
  if width and type(width) ~= "number" then
    return nil, "bn:to_binary: expect a number at #1"
  end
  local s = ops.bn_write(self.ctx.id, "binary", width)
  if not s then
    return nil, "bn:to_binary failed"
  end
  return s
end

function _M:to_hex()
  return ops.bn_write(self.ctx.id, "hex")
end

--- Four octets of length, then the magnitude with the sign in its first bit.
function _M:to_mpi()
  local s = ops.bn_write(self.ctx.id, "binary") or ""
  local negative = ops.bn_compare(self.ctx.id, zero.ctx.id) < 0
  if #s > 0 and (s:byte() >= 128 or negative) then
    s = (s:byte() >= 128 and "\0" .. s or s)
    s = negative and char(s:byte() + 128) .. s:sub(2) or s
  end
  local n = #s
  return char(floor(n / 2 ^ 24) % 256, floor(n / 2 ^ 16) % 256, floor(n / 256) % 256, n % 256) .. s
end

function _M:to_dec()
  return ops.bn_write(self.ctx.id, "dec")
end
mt.__tostring = _M.to_dec

--- The value as a Lua number.
function _M:to_number()
  return ops.bn_write(self.ctx.id, "number")
end
_M.tonumber = _M.to_number

local function operand(v, verb)
  if type(v) == "number" then
    local ctx = wrap(ops.bn_new(v))
    if not ctx then
      error("BN_set_word() failed", 3)
    end
    return ctx
  elseif type(v) == "table" and istype(v) then
    return v.ctx
  end
  error("cannot " .. verb .. " a " .. type(v) .. " to bignum", 3)
end

local function operation(op, verb, failure)
  return function(a, b, m)
    a = operand(a, verb)
    b = b ~= nil and operand(b, verb)
    m = m ~= nil and operand(m, verb)
    local r = from(ops.bn_compute(op, a.id, b and b.id, m and m.id))
    if not r then
      error(failure .. "() failed", 2)
    end
    return r
  end
end

_M.add = operation("add", "add", "BN_add")
_M.sub = operation("sub", "substract", "BN_sub")
_M.mul = operation("mul", "multiply", "BN_mul")
_M.div = operation("div", "divide", "BN_div")
_M.idiv = _M.div
_M.mod = operation("mod", "mod", "BN_div")
_M.sqr = operation("sqr", "square", "BN_sqr")
_M.gcd = operation("gcd", "extract greatest common divisor", "BN_gcd")
_M.exp = operation("exp", "power", "BN_exp")
_M.pow = _M.exp
_M.lshift = operation("shl", "lshift", "BN_lshift")
_M.rshift = operation("shr", "rshift", "BN_rshift")
_M.mod_add = operation("mod_add", "add", "BN_mod_add")
_M.mod_sub = operation("mod_sub", "sub", "BN_mod_sub")
_M.mod_mul = operation("mod_mul", "mul", "BN_mod_mul")
_M.mod_exp = operation("mod_exp", "exp", "BN_mod_exp")

local square = operation("mod_mul", "mod_sqr", "BN_mod_sqr")

--- The square of `a` modulo `m`.
function _M.mod_sqr(a, m)
  return square(a, a, m)
end

local negate = operation("unm", "negate", "BN_dup")
mt.__unm = function(a)
  return negate(a)
end
mt.__add, mt.__sub, mt.__mul = _M.add, _M.sub, _M.mul
mt.__div, mt.__mod = _M.div, _M.mod

local function compare(a, b)
  return (ops.bn_compare(operand(a, "compare").id, operand(b, "compare").id))
end

mt.__eq = function(a, b)
  return compare(a, b) == 0
end

mt.__lt = function(a, b)
  return compare(a, b) < 0
end

mt.__le = function(a, b)
  return compare(a, b) <= 0
end

function _M:is_zero()
  return compare(self, 0) == 0
end

function _M:is_one()
  return compare(self, 1) == 0
end

--- Whether the number is `n`.
function _M:is_word(n)
  return compare(self, n) == 0
end

function _M:is_odd()
  local _, odd = ops.bn_compare(self.ctx.id, self.ctx.id)
  return odd
end

--- A random prime of `bits` bits; `safe`: one of which half is a prime, too.
function _M.generate_prime(bits, safe)
  local id, err = ops.bn_prime(bits, safe and true or false)
  if not id then
    return nil, "bn.BN_generate_prime_ex: " .. err
  end
  return from(id)
end

--- Whether the number is a prime; how often it is tried is not the caller's matter.
function _M:is_prime(checks)
  if checks and type(checks) ~= "number" then
    return nil, "bn:is_prime: expect a number at #1"
  end
  return ops.bn_is_prime(self.ctx.id)
end

return _M
