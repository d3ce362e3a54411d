// swift-tools-version: 6.2
import PackageDescription

// The floors of the house: a target may import only targets listed before it. `.ci/check-imports` holds
// the imports against the dependencies stated here.
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
  name: "convoy",
  products: [
    .executable(name: "convoy", targets: ["convoy"]),
    .library(name: "Convoy", targets: ["Convoy"]),
    .library(name: "ConvoySimulation", targets: ["ConvoySimulation"]),
  ],
  traits: [
    .default(enabledTraits: ["OneDNN"]),
    .trait(name: "OneDNN", description: "The engine on oneDNN; without it OpenBLAS serves."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // 0: C
    .systemLibrary(name: "COpenBLAS", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
    .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
    .systemLibrary(name: "CProtobufC", providers: [.apt(["libprotobuf-c-dev"])]),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
    .target(name: "CKernels"),
    .target(name: "CMessages", dependencies: ["CProtobufC"]),
    // 1
    .target(name: "Tensors", dependencies: ["CKernels", "COpenSSL"]),
    .target(name: "ParameterServer"),
    // 2
    .target(name: "Networks", dependencies: ["Tensors"]),
    // 3
    .target(
      name: "Engines",
      dependencies: [
        "Networks", "Tensors", "CKernels", "COpenBLAS", .target(name: "COneDNN", condition: .when(traits: ["OneDNN"])),
      ]),
    .target(name: "Datasets", dependencies: ["Tensors", "CKernels", "CZlib"]),
    .target(name: "WireFormat", dependencies: ["ParameterServer", "CMessages", "CProtobufC"]),
    .target(name: "Transport", dependencies: ["CZeroMQ"]),
    .target(name: "ModelFiles", dependencies: ["Tensors"]),
    .target(name: "Observability", dependencies: [logging]),
    // 4
    .target(
      name: "Runtime",
      dependencies: [
        "ParameterServer", "Tensors", "Networks", "Engines", "Datasets", "WireFormat", "Transport", "ModelFiles",
        "Observability", logging, yams,
      ]),
    // 5
    .target(name: "Launch", dependencies: ["Runtime", "Transport", "Observability", logging]),
    // 6
    .target(name: "Convoy", dependencies: ["Runtime", logging]),
    .target(
      name: "ConvoySimulation",
      dependencies: [
        "Runtime", "ParameterServer", "Tensors", "Networks", "Engines", "Datasets", "ModelFiles", "Transport",
      ]),
    .target(name: "Benchmarks", dependencies: ["Engines", "Networks", "Tensors", "CKernels"]),
    // 7
    .executableTarget(
      name: "convoy",
      dependencies: [
        "Convoy", "ConvoySimulation", "Benchmarks", "Launch", "Runtime", "Observability", "Engines", "Datasets",
        "ModelFiles", "ParameterServer", "WireFormat", "Transport", "Networks", "Tensors", argumentParser, logging,
      ]),

    .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
    .target(name: "TestSupport", path: "Tests/Support"),
    .testTarget(name: "SupportTests", dependencies: ["TestSupport"]),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors"], resources: [.copy("References")]),
    .testTarget(name: "ParameterServerTests", dependencies: ["ParameterServer"]),
    .testTarget(name: "NetworksTests", dependencies: ["Networks", "Tensors"]),
    .testTarget(
      name: "EnginesTests", dependencies: ["Engines", "Networks", "Tensors", "CAllocationCounter"],
      resources: [.copy("References")]),
    .testTarget(name: "BenchmarksTests", dependencies: ["Benchmarks", "Engines", "Networks", "Tensors"]),
    .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "Tensors"]),
    .testTarget(name: "WireFormatTests", dependencies: ["WireFormat", "ParameterServer"]),
    .testTarget(name: "TransportTests", dependencies: ["Transport"]),
    .testTarget(name: "ModelFilesTests", dependencies: ["ModelFiles", "Tensors"]),
    .testTarget(name: "ObservabilityTests", dependencies: ["Observability", logging]),
    .testTarget(
      name: "RuntimeTests",
      dependencies: [
        "Runtime", "ParameterServer", "WireFormat", "Transport", "Engines", "Datasets", "ModelFiles", "Networks",
        "Tensors", logging,
      ]
    ),
    .testTarget(
      name: "ConvoySimulationTests",
      dependencies: [
        "ConvoySimulation", "Runtime", "ParameterServer", "ModelFiles", "Tensors", "Transport", logging,
      ]),
    .testTarget(name: "LaunchTests", dependencies: ["Launch", "Runtime", "TestSupport"]),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "convoy", "Runtime", "ParameterServer", "WireFormat", "Transport", "Datasets", "Engines", "ModelFiles",
        "Networks", "Tensors", "TestSupport", "CZeroMQ",
      ]),
  ]
)

// The same strict settings for every target of ours; generated C and system libraries are not ours to warn about.
for target in package.targets where target.type != .system && target.name != "CMessages" {
  if ["CKernels", "CAllocationCounter"].contains(target.name) {
    target.cSettings = [.treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra")]
  } else {
    target.swiftSettings = [
      .swiftLanguageMode(.v6),
      .treatAllWarnings(as: .error),
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
    ]
  }
}
