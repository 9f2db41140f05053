-- `pl.config`: settings files of `name = value` lines with `[sections]`.

local stringio = require "pl.stringio"
local stringx = require "pl.stringx"

local M = {}

local DEFAULTS = {
  variabilize = true,
  convert_numbers = tonumber,
  convert_boolean = false,
  trim_space = true,
  trim_quotes = false,
  list_delim = ",",
  keysep = "=",
  comment = "#",
  smart = false,
}

local function option(cnfg, name)
  if cnfg[name] ~= nil then
    return cnfg[name]
  end
  return DEFAULTS[name]
end

--- Iterates over lines, those that end in a backslash joined with the next.
function M.lines(file)
  local opened, name = nil, "file"
  if type(file) == "string" then
    opened, name = io.open(file), file
    if not opened then
      return nil, name .. ": No such file or directory"
    end
    file = opened
  elseif not file.read then
    return nil, "not a file-like object"
  end
  return function()
    local line = file:read()
    if not line then
      if opened then
        opened:close()
      end
      return nil
    end
    while line:find("\\%s*$") do
      line = line:gsub("\\%s*$", "") .. (file:read() or "")
    end
    return line
  end
end

local function converter(cnfg)
  local numbers, booleans = option(cnfg, "convert_numbers"), option(cnfg, "convert_boolean")
  if numbers == true then
    numbers = tonumber
  end
  local delim = option(cnfg, "list_delim")
  local function convert(value, in_list)
    if option(cnfg, "trim_space") then
      value = stringx.strip(value)
    end
    if option(cnfg, "trim_quotes") then
      value = value:gsub("^(['\"])(.*)%1$", "%2")
    end
    if delim and not in_list and value:find(delim, 1, true) then
      local list = {}
      for _, part in ipairs(stringx.split(value, delim)) do
        list[#list + 1] = convert(part, true)
      end
      return list
    end
    if booleans and (value == "true" or value == "false") then
      return value == "true"
    end
    return numbers and value ~= "" and numbers(value) or value
  end
  return convert
end

--- Reads settings from a file or an object that reads like one; nil and an error.
function M.read(file, cnfg)
  cnfg = cnfg or {}
  local iterate, err = M.lines(file)
  if not iterate then
    return nil, err
  end
  local convert = converter(cnfg)
  local comment, keysep = option(cnfg, "comment"), option(cnfg, "keysep")
  local function named(key)
    key = stringx.strip(key)
    return option(cnfg, "variabilize") and key:gsub("[^%w_]", "_") or key
  end
  local all = {}
  local into = all
  for line in iterate do
    line = stringx.lstrip(line)
    if line ~= "" and line:sub(1, #comment) ~= comment and line:sub(1, 1) ~= ";" then
      local section = line:match("^%[([^%]]+)%]")
      local at, to = line:find(keysep, 1, true)
      if section then
        into = {}
        all[named(section)] = into
      elseif at and at > 1 then
        into[named(line:sub(1, at - 1))] = convert(line:sub(to + 1))
      else
        into[#into + 1] = convert(line)
      end
    end
  end
  return all
end

--- As `read`, from text.
function M.read_string(text, cnfg)
  return M.read(stringio.open(text), cnfg)
end

return M
