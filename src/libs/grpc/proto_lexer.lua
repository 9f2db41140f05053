-- The words of .proto files, one after the other, for `protoc`.

local error, tonumber, setmetatable = error, tonumber, setmetatable
local find, match, sub = string.find, string.match, string.sub

local Lexer = {}
Lexer.__index = Lexer

function Lexer:fail(text)
  local _, line = self.text:sub(1, self.at):gsub("\n", "")
  error(("%s:%d: %s"):format(self.name, line + 1, text), 0)
end

-- Passes over white space and comments.
local function skip(self)
  local text, at = self.text, self.at
  while true do
    at = find(text, "%S", at) or #text + 1
    if sub(text, at, at + 1) == "//" then
      at = find(text, "\n", at, true) or #text + 1
    elseif sub(text, at, at + 1) == "/*" then
      local _, last = find(text, "*/", at + 2, true)
      if not last then
        self:fail("unfinished comment")
      end
      at = last + 1
    else
      self.at = at
      return
    end
  end
end

function Lexer:done()
  skip(self)
  return self.at > #self.text
end

--- Passes over a symbol, if it is what comes next.
function Lexer:take(symbol)
  skip(self)
  if sub(self.text, self.at, self.at + #symbol - 1) == symbol then
    self.at = self.at + #symbol
    return true
  end
  return false
end

function Lexer:expect(symbol)
  if not self:take(symbol) then
    self:fail("'" .. symbol .. "' expected near '" .. sub(self.text, self.at, self.at + 10) .. "'")
  end
end

--- The next word, a name.
function Lexer:ident(what)
  skip(self)
  local word = match(self.text, "^[%a_][%w_]*", self.at)
  if not word then
    self:fail(what .. " expected")
  end
  self.at = self.at + #word
  return word
end

--- The next word, a name with dots.
function Lexer:full_ident()
  skip(self)
  local word = match(self.text, "^%.?[%a_][%w_.]*", self.at)
  if not word then
    self:fail("type name expected")
  end
  self.at = self.at + #word
  return word
end

--- Passes over a word, if it comes next, as a statement's first (a field may have the name of a keyword).
function Lexer:keyword(word, after)
  skip(self)
  local found, at = match(self.text, "^([%a_][%w_]*)()", self.at)
  if found ~= word then
    return false
  end
  local next_symbol = match(self.text, "^%s*(.)", at)
  if next_symbol == "=" or next_symbol == "." or (after and next_symbol ~= after) then
    return false
  end
  self.at = at
  return true
end

function Lexer:expect_word(word)
  if not self:keyword(word) then
    self:fail("'" .. word .. "' expected")
  end
end

--- "optional", "required" or "repeated", if one comes next.
function Lexer:label()
  return self:keyword("optional") and "optional" or self:keyword("required") and "required"
    or self:keyword("repeated") and "repeated" or nil
end

--- Whether a name goes on with a dot that `full_ident` did not take, as after `(name)`.
function Lexer:dotted(f)
  if match(self.text, "^%.", self.at) then
    self.at = self.at + 1
    f()
    return true
  end
  return false
end

function Lexer:integer()
  skip(self)
  local digits = match(self.text, "^[+-]?%w+", self.at)
  local value = digits and self.to_number(digits)
  if not value then
    self:fail("number expected")
  end
  self.at = self.at + #digits
  return value
end

-- Numbers as C writes them: octal with a zero in front.
function Lexer.to_number(digits)
  local sign, octal = match(digits, "^([+-]?)0([0-7]+)$")
  if octal then
    return tonumber(octal, 8) * (sign == "-" and -1 or 1)
  end
  return tonumber(digits)
end

local ESCAPES = { n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v" }

local function quoted(self)
  local quote = sub(self.text, self.at, self.at)
  local at, out = self.at + 1, {}
  while true do
    local plain, stop = match(self.text, "^([^\\\n\"']*)()", at)
    out[#out + 1] = plain
    local c = sub(self.text, stop, stop)
    if c == quote then
      self.at = stop + 1
      return table.concat(out)
    elseif c == '"' or c == "'" then
      out[#out + 1], at = c, stop + 1
    elseif c ~= "\\" then
      self:fail("unfinished string")
    else
      local hex, after_hex = match(self.text, "^[xX](%x%x?)()", stop + 1)
      local octal, after_octal = match(self.text, "^([0-7][0-7]?[0-7]?)()", stop + 1)
      local one = sub(self.text, stop + 1, stop + 1)
      if hex then
        out[#out + 1], at = string.char(tonumber(hex, 16)), after_hex
      elseif octal then
        out[#out + 1], at = string.char(tonumber(octal, 8) % 256), after_octal
      else
        out[#out + 1], at = ESCAPES[one] or one, stop + 2
      end
    end
  end
end

--- A text, a number, true, false, or a name as text.
function Lexer:constant()
  skip(self)
  local c = sub(self.text, self.at, self.at)
  if c == '"' or c == "'" then
    local text = quoted(self)
    skip(self)
    while match(self.text, "^[\"']", self.at) do
      text = text .. quoted(self)
      skip(self)
    end
    return text
  end
  local word = match(self.text, "^[+-]?[%w_.]+", self.at)
  if not word then
    self:fail("value expected")
  end
  self.at = self.at + #word
  local exponent = match(word, "^%-?[%d.]+[eE]$") and match(self.text, "^[+-]%d+", self.at)
  if exponent then
    self.at, word = self.at + #exponent, word .. exponent
  end
  if word == "true" or word == "false" then
    return word == "true"
  end
  return self.to_number(word) or word
end

--- What there is up to a symbol, which is passed over.
function Lexer:until_symbol(symbol)
  local stop = find(self.text, symbol, self.at, true)
  if not stop then
    self:fail("'" .. symbol .. "' expected")
  end
  local text = sub(self.text, self.at, stop - 1)
  self.at = stop + #symbol
  return text:match("^%s*(.-)%s*$")
end

return {
  new = function(text, name)
    return setmetatable({ text = text, name = name, at = 1 }, Lexer)
  end,
}
