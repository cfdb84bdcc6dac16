// The command that Nextflow's language, which is Groovy, makes of one task: groovy nextflow_task.groovy main.nf SLIDE MPP TO
// Only the engine around it (staging, executors, -resume) is missing.

abstract class Workflow extends Script {
    static String command

    def methodMissing(String name, given) {
        if (name == 'process') command = given[0].call()
        name == 'workflow' ? null : given[-1] // `process analyze {...}` calls analyze with the block, and process with what that gives
    }
}

class Given extends LinkedHashMap { // as --mpp on the command line: what the script sets is only the usual value
    def put(key, value) { containsKey(key) ? null : super.put(key, value) }
}

class Staged { // an input as a command sees it: by its name, which Nextflow escapes (its class TaskPath)
    String name
    String toString() { name.replaceAll(/[^\w.\/-]/, '\\\\$0') }
}

def known = [params: new Given(), slide: new Staged(name: args[1]), task: [cpus: 1]]
known.params.mpp = args[2]
def settings = new org.codehaus.groovy.control.CompilerConfiguration(scriptBaseClass: 'Workflow')
new GroovyShell(this.class.classLoader, new Binding(known), settings).evaluate(new File(args[0]))
new File(args[3]).text = Workflow.command
