import Glibc

/// What memory this process has taken.
public enum ProcessMemory {
  /// Most bytes that were resident at once since the program began (`VmHWM`); 0 where the system does not say.
  public static var peakResidentBytes: Int {
    let descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return 0 }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 14)
    let count = read(descriptor, &bytes, bytes.count)
    let name = "VmHWM:"
    for line in String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
    where line.hasPrefix(name) {
      let digits = line.dropFirst(name.count).drop { !$0.isNumber }.prefix { $0.isNumber }
      return (Int(digits) ?? 0) * 1024
    }
    return 0
  }
}
