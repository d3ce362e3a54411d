import Foundation

/// Writes a program that a test is about to start.
///
/// Another process writes the file: what this one has open for writing, a process that another test starts at that moment
/// holds too, and a program that somebody has open for writing cannot be started.
package func writeProgram(_ text: String, to path: String) throws {
  let draft = "\(path).draft"
  try Data(text.utf8).write(to: URL(filePath: draft))
  let copy = try Process.run(URL(filePath: "/usr/bin/install"), arguments: ["-m", "700", draft, path])
  copy.waitUntilExit()
  try FileManager.default.removeItem(atPath: draft)
  guard copy.terminationStatus == 0 else { throw CocoaError(.fileWriteUnknown) }
}
